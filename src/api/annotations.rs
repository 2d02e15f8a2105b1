//! Names that objects carry: annotations, labels, the finalizer and field managers.
//!
//! Flux's names stay as they are, so that its command line and its users' scripts work; what is ours
//! is below `towpath.dev/`.

/// Set it to anything new and the object is reconciled at once; `flux reconcile` sets a time.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// Holds an object until its controller has cleaned up after it.
pub const FINALIZER: &str = "finalizers.fluxcd.io";
/// Annotations of an object below this prefix are copied into its events.
pub const EVENT_PREFIX: &str = "event.toolkit.fluxcd.io/";
/// Label of what a Kustomization applied: its name.
pub const KUSTOMIZATION_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
/// Label of what a Kustomization applied: its namespace.
pub const KUSTOMIZATION_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// `disabled` keeps post-build substitution away from an object.
pub const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
/// Event metadata: the revision that was stored, by a source.
pub const EVENT_SOURCE_REVISION: &str = "source.toolkit.fluxcd.io/revision";
/// Event metadata: the digest that was stored, by a source.
pub const EVENT_SOURCE_DIGEST: &str = "source.toolkit.fluxcd.io/digest";
/// Event metadata: the revision that was applied, by a Kustomization.
pub const EVENT_KUSTOMIZATION_REVISION: &str = "kustomize.toolkit.fluxcd.io/revision";
/// Artifact metadata: the revision of the source that an artifact was made from.
pub const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";
/// Prefix of our own annotations.
pub const TOWPATH_PREFIX: &str = "towpath.dev/";
/// Ours, of an ImagePolicy: `allow` takes a tag that is older than the last one at once; `confirm`, the
/// default, after a second scan.
pub const DOWNGRADE: &str = "towpath.dev/downgrade";

/// Field manager and event source of ImageRepository and ImagePolicy.
pub const IMAGE_REFLECTOR: &str = "image-reflector-controller";
/// Field manager and event source of ImageUpdateAutomation.
pub const IMAGE_AUTOMATION: &str = "image-automation-controller";
/// Field manager and event source of the sources.
pub const SOURCE_CONTROLLER: &str = "source-controller";
/// Field manager and event source of Kustomization.
pub const KUSTOMIZE_CONTROLLER: &str = "kustomize-controller";
