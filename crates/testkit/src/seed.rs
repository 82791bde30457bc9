//! Randomness that a failed test can be repeated with.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// A seed that says its number if the test it was made in fails.
///
/// ```
/// use chopmark_testkit::seed::Seed;
/// let seed = Seed::fixed(7);
/// let mut rng = seed.rng();
/// # let _ = &mut rng;
/// ```
#[derive(Debug)]
pub struct Seed(u64);

impl Seed {
    /// The same randomness in every run.
    pub fn fixed(number: u64) -> Self {
        Self(number)
    }

    /// Other randomness in every run, unless `CHOPMARK_SEED` names the number to repeat.
    pub fn fresh() -> Self {
        let named = std::env::var("CHOPMARK_SEED").ok().and_then(|number| number.parse().ok());
        Self(named.unwrap_or_else(rand::random))
    }

    /// The generator, from its beginning.
    pub fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(self.0)
    }

    /// A generator of its own for each `case` of the test.
    pub fn case(&self, case: u64) -> ChaCha20Rng {
        let mut rng = self.rng();
        rng.set_stream(case.wrapping_add(1));
        rng
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with CHOPMARK_SEED={}", self.0);
        }
    }
}
