//! What the caller of a build chooses.

pub use crate::load::LoadRestrictor;
pub use crate::order::Order;

/// What the caller of a build chooses.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which files a kustomization may load.
    pub load_restrictor: LoadRestrictor,
    /// The order of the result, where the kustomization file does not say.
    pub order: Order,
    /// Whether every object gets the label `app.kubernetes.io/managed-by`.
    pub managed_by_label: bool,
}
