//! Conditions as Flux writes them, their types and their reasons.
//!
//! The texts are part of the contract with `kubectl wait`, dashboards and alerts: they are spelled as
//! Flux spells them. What a condition means, and when it is written, is the business of `reconcile`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The object is what its spec asks for.
pub const READY: &str = "Ready";
/// Work goes on or will be tried again.
pub const RECONCILING: &str = "Reconciling";
/// Nothing more happens until somebody changes the object.
pub const STALLED: &str = "Stalled";
/// What was applied is healthy (Kustomization).
pub const HEALTHY: &str = "Healthy";
/// The artifact in the status is in the storage (sources).
pub const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
/// The artifact in the status is behind its source (sources).
pub const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
/// The source could not be read (sources).
pub const FETCH_FAILED: &str = "FetchFailed";
/// The artifact could not be written (sources).
pub const STORAGE_OPERATION_FAILED: &str = "StorageOperationFailed";

/// Most bytes of a condition's message; the schema refuses longer ones.
pub const CONDITION_MESSAGE_BYTES_MAX: usize = 32_768;

/// Reasons, one word each; alerts match on them.
pub mod reasons {
    // Every kind.
    pub const SUCCEEDED: &str = "Succeeded";
    pub const PROGRESSING: &str = "Progressing";
    pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";
    pub const FAILED: &str = "Failed";
    pub const FAILURE: &str = "Failure";
    pub const ACCESS_DENIED: &str = "AccessDenied";
    pub const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";
    pub const FEATURE_GATE_DISABLED: &str = "FeatureGateDisabled";
    pub const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
    /// Ours: the spec asks for something that this version does not do.
    pub const NOT_SUPPORTED: &str = "NotSupported";
    /// A marker in the repository writes nothing; of ours, for events.
    pub const MARKER_WITHOUT_EFFECT: &str = "MarkerWithoutEffect";
    /// A branch lost commits that it had; of ours, for events.
    pub const BRANCH_REWRITTEN: &str = "BranchRewritten";
    /// Ours: the object does not read as its kind (an API server with a looser schema).
    pub const INVALID_OBJECT: &str = "InvalidObject";
    // Images.
    pub const IMAGE_URL_INVALID: &str = "ImageURLInvalid";
    pub const READ_OPERATION_FAILED: &str = "ReadOperationFailed";
    pub const INTERVAL_NOT_CONFIGURED: &str = "IntervalNotConfigured";
    pub const INVALID_POLICY: &str = "InvalidPolicy";
    pub const INVALID_POLICY_SELECTOR: &str = "InvalidPolicySelector";
    pub const INVALID_SOURCE_CONFIGURATION: &str = "InvalidSourceConfiguration";
    pub const SOURCE_MANAGER_FAILED: &str = "SourceManagerFailed";
    pub const GIT_OPERATION_FAILED: &str = "GitOperationFailed";
    pub const INVALID_UPDATE_STRATEGY: &str = "InvalidUpdateStrategy";
    pub const UPDATE_FAILED: &str = "UpdateFailed";
    /// Ours, of an event: a scan found less than half of the tags.
    pub const TAGS_SHRUNK: &str = "TagsShrunk";
    /// Ours: a choice that would be older than the last one waits for a second scan.
    pub const DOWNGRADE_HELD: &str = "DowngradeHeld";
    /// Ours, of an event: a second scan has confirmed that the newer tag is gone.
    pub const DOWNGRADE_CONFIRMED: &str = "DowngradeConfirmed";
    /// Ours, of an event: the chosen tag has another digest.
    pub const TAG_MOVED: &str = "TagMoved";
    pub const REMOVED_TEMPLATE_FIELD: &str = "RemovedTemplateField";
    // Sources.
    pub const NEW_ARTIFACT: &str = "NewArtifact";
    pub const NEW_REVISION: &str = "NewRevision";
    pub const URL_INVALID: &str = "URLInvalid";
    pub const GIT_OPERATION_SUCCEEDED: &str = "GitOperationSucceeded";
    pub const EMPTY_GIT_REPOSITORY: &str = "EmptyGitRepository";
    pub const ARCHIVE_OPERATION_FAILED: &str = "ArchiveOperationFailed";
    pub const ARTIFACT_UP_TO_DATE: &str = "ArtifactUpToDate";
    pub const INVALID_PROVIDER_CONFIGURATION: &str = "InvalidProviderConfiguration";
    // Kustomizations.
    pub const RECONCILIATION_SUCCEEDED: &str = "ReconciliationSucceeded";
    pub const RECONCILIATION_FAILED: &str = "ReconciliationFailed";
    pub const ARTIFACT_FAILED: &str = "ArtifactFailed";
    pub const BUILD_FAILED: &str = "BuildFailed";
    pub const PRUNE_FAILED: &str = "PruneFailed";
    pub const HEALTH_CHECK_FAILED: &str = "HealthCheckFailed";
    pub const HEALTH_CHECK_CANCELED: &str = "HealthCheckCanceled";
    pub const INVALID_CEL_EXPRESSION: &str = "InvalidCELExpression";
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known yet.
    Unknown,
}

/// One aspect of an object's state, as last observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The aspect: a word in CamelCase, possibly below a DNS name.
    #[serde(rename = "type")]
    #[schemars(length(max = 316), extend("pattern" = CONDITION_TYPE_PATTERN))]
    pub type_: String,
    /// Whether the aspect holds: True, False or Unknown.
    pub status: ConditionStatus,
    /// The generation of the object that this condition speaks of.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the status, the reason or the message last changed.
    pub last_transition_time: Time,
    /// Why the condition has its status, in one CamelCase word for programs.
    #[schemars(length(min = 1, max = 1024), extend("pattern" = CONDITION_REASON_PATTERN))]
    pub reason: String,
    /// Why the condition has its status, for people. May be empty.
    #[schemars(length(max = 32768))]
    pub message: String,
}

const CONDITION_TYPE_PATTERN: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
const CONDITION_REASON_PATTERN: &str = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
