//! The root step. SPEC §5.4.

use crate::{
    ratchet::root::{self, Mix},
    secret::Key,
};

/// What one root step yields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// RK'.
    pub root: [u8; 32],
    /// CK.
    pub chain: [u8; 32],
    /// NHK.
    pub next_header: [u8; 32],
}

/// The step from `root` with `agreed`; `epoch` is that after the step. Mixed if there are a KEM's shared secret and the
/// transcript of its encapsulation ([`super::kem_epoch::Confirmed::transcript`]).
pub fn step(
    root: &[u8; 32],
    agreed: &[u8; 32],
    epoch: u32,
    mix: Option<(&[u8; 32], &[u8; 32])>,
) -> Step {
    let mix =
        mix.map(|(shared, transcript)| Mix { shared: Key::new(*shared), transcript: *transcript });
    let step = root::step(&Key::new(*root), &Key::new(*agreed), epoch, mix.as_ref());
    Step {
        root: *step.root.expose(),
        chain: *step.chain.expose(),
        next_header: *step.next_header.expose(),
    }
}

impl core::fmt::Debug for Step {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Step(..)")
    }
}
