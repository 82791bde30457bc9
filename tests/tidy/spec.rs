//! SPEC.md, the code and the tests name the same sections, rules and labels.

use std::collections::BTreeSet;

use super::{assert_none, read, sources};

/// Numbers of all sections: `## 6 Relay`, `### 6.4 Roles`.
fn sections() -> BTreeSet<String> {
    let spec = read("SPEC.md");
    let titles = spec.lines().filter(|line| line.starts_with('#'));
    titles
        .filter_map(|line| line.trim_start_matches('#').split_whitespace().next())
        .filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

// Seen to fail with `SPEC §9.9` cited in a comment.
#[test]
fn every_cited_section_exists() {
    let sections = sections();
    let mut findings = Vec::new();
    for source in sources() {
        for (index, line) in source.text.lines().enumerate() {
            let (Some(start), false) = (line.find("SPEC §"), line.contains("§9.9")) else {
                continue;
            };
            for cited in line[start..].split('§').skip(1) {
                let number: String =
                    cited.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
                let number = number.trim_end_matches('.');
                if !number.is_empty() && !sections.contains(number) {
                    findings.push(format!("{}:{}: §{number}", source.path, index + 1));
                }
            }
        }
    }
    assert_none("cited, and not in SPEC.md", &findings);
}

/// The ids in brackets of `text`: lower-case words joined by hyphens.
fn ids(text: &str) -> BTreeSet<String> {
    let words = |id: &&str| {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        id.contains('-') && id.chars().all(letters) && !id.starts_with('-')
    };
    text.split('[')
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
        .filter(words)
        .map(str::to_owned)
        .collect()
}

/// The ids that SPEC.md gives its rules: in backticks and brackets, outside section 1's example.
pub(super) fn rules() -> BTreeSet<String> {
    let spec = read("SPEC.md");
    spec.lines()
        .filter(|line| !line.contains("a test names it"))
        .flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .filter(|quoted| quoted.starts_with('[') && quoted.ends_with(']'))
        .flat_map(|quoted| ids(&quoted))
        .collect()
}

fn tested() -> BTreeSet<String> {
    let named = |comment: String| {
        let start = comment.find("Tests [")?;
        Some(ids(&comment[start..]))
    };
    sources().iter().flat_map(super::Source::comments).filter_map(named).flatten().collect()
}

/// Rules whose test is not written yet. The list only shrinks: a tested rule may not stand in it.
fn untested() -> BTreeSet<String> {
    read("tests/tidy/untested.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

// Seen to fail with a rule added to SPEC.md.
#[test]
fn every_rule_of_the_specification_has_a_test() {
    let (rules, tested, untested) = (rules(), tested(), untested());
    let missing: Vec<_> =
        rules.difference(&tested).filter(|id| !untested.contains(*id)).cloned().collect();
    assert_none("no test says `Tests [id]` of", &missing);
    let stale: Vec<_> = untested
        .iter()
        .filter(|id| tested.contains(*id) || !rules.contains(*id))
        .cloned()
        .collect();
    assert_none("remove from tests/tidy/untested.txt", &stale);
}

// Seen to fail with the id of a test misspelt, and with a rule cited that SPEC.md did not have.
#[test]
fn every_rule_that_a_test_or_the_code_names_is_in_the_specification() {
    let rules = rules();
    let mut findings = Vec::new();
    for source in sources() {
        for comment in source.comments() {
            let named = ["Tests [", "SPEC §"].iter().filter_map(|word| comment.find(word)).min();
            let named = named.map(|start| ids(&comment[start..])).unwrap_or_default();
            for id in named.difference(&rules) {
                findings.push(format!("{}: [{id}]", source.path));
            }
        }
    }
    assert_none("no such rule in SPEC.md", &findings);
}

// Seen to fail with a row of the table taken out.
#[test]
fn the_table_of_labels_is_the_list_in_the_core() {
    let spec = read("SPEC.md");
    let section = spec.split("### 1.4 ").nth(1).and_then(|rest| rest.split("\n### ").next());
    let listed: Vec<&str> = section
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let set: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(listed.len(), set.len(), "a label is listed twice");
    assert_eq!(set, chopmark_core::label::ALL.iter().copied().collect());
}
