//! The root step: a new chain from a new agreement, with a KEM secret mixed in or not. SPEC §5.4.

use crate::{kdf, label, secret::Key};

/// What the owner of a root step mixes in: the shared secret of one KEM epoch.
pub(crate) struct Mix {
    /// The KEM's shared secret.
    pub(crate) shared: Key,
    /// `H(ek | ct)`: which encapsulation it was.
    pub(crate) transcript: [u8; 32],
}

/// What one root step yields.
pub(crate) struct Step {
    /// The next root key.
    pub(crate) root: Key,
    /// The key from which the new chain grows.
    pub(crate) chain: Key,
    /// The header key of the chain after this one, in the same direction.
    pub(crate) next_header: Key,
}

/// Derives the next root key, a chain and a header key from `root` and a fresh agreement.
///
/// `epoch` is the KEM epoch after the step, which is the one that the new chain's headers name.
pub(crate) fn step(root: &Key, agreed: &Key, epoch: u32, mix: Option<&Mix>) -> Step {
    let epoch = epoch.to_be_bytes();
    let [root, chain, next_header] = match mix {
        Some(Mix { shared, transcript }) => {
            let extracted = kdf::extract(root.expose(), &[agreed.expose(), shared.expose()]);
            kdf::expand(extracted.expose(), label::ROOT_MIXED, &[&epoch, transcript])
        }
        None => {
            let extracted = kdf::extract(root.expose(), &[agreed.expose()]);
            kdf::expand(extracted.expose(), label::ROOT_PLAIN, &[&epoch])
        }
    };
    Step { root, chain, next_header }
}

#[cfg(test)]
mod tests {
    use hkdf::Hkdf;
    use sha2::Sha256;

    use super::*;

    // SPEC §5.4, computed by other code from its text.
    // Seen to fail with the KEM secret left out, and with the epoch left out.
    #[test]
    fn both_steps_are_those_of_the_specification() {
        let (root, agreed) = (Key::new([1; 32]), Key::new([2; 32]));
        let mix = Mix { shared: Key::new([3; 32]), transcript: [4; 32] };
        let plain = (None, vec![2; 32], b"chopmark/1 root plain step\0\0\0\0\x07".to_vec());
        let mixed = b"chopmark/1 root mixed step\0\0\0\0\x07".iter().copied().chain([4; 32]);
        let mixed = (Some(&mix), [[2; 32], [3; 32]].concat(), mixed.collect());
        for (mix, ikm, info) in [plain, mixed] {
            let mut okm = [0; 96];
            Hkdf::<Sha256>::new(Some(&[1; 32]), &ikm).expand(&info, &mut okm).unwrap();
            let step = step(&root, &agreed, 7, mix);
            let made = [&step.root, &step.chain, &step.next_header];
            assert_eq!(made.map(|key| *key.expose()).concat(), okm);
        }
    }
}
