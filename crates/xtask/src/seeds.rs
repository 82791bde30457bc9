//! The corpora that are checked in: the testkit's seeds, and a few bent ones a target.

use std::fs;

use chopmark_testkit::{corpus, fuzz::TARGETS, seed::Seed};

use crate::{Outcome, codegen::root};

/// Bent inputs a target, beside the seeds.
const BENT: u64 = 16;

/// Of a script, whose seeds are many and whose bent forms take long.
const BENT_SCRIPTS: u64 = 4;

/// Writes every seed to `fuzz/corpus/<target>/`.
pub(crate) fn write() -> Outcome {
    for target in TARGETS {
        let folder = root().join("fuzz/corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        let seeds = corpus::seeds(target.name);
        for (name, data) in &seeds {
            fs::write(folder.join(name), data)?;
        }
        let bent = if target.tries < 1_000 { BENT_SCRIPTS } else { BENT };
        for case in 0..bent {
            let bent = corpus::mutated(&seeds, &mut Seed::fixed(1).case(case));
            fs::write(folder.join(format!("bent-{case:02}")), bent)?;
        }
    }
    Ok(())
}
