//! Every line of the threat model names its evidence, and the evidence exists.

use super::{assert_none, manifest, read, spec::rules};

// Seen to fail with a pending attack named, with a rule that is not one, and with a line without braces.
#[test]
fn every_line_of_the_threat_model_names_its_evidence() {
    let spec = read("SPEC.md");
    let section = spec.split("## 10 ").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let (covered, rules) = (manifest::covered(), rules());
    let lines: Vec<&str> = section.lines().filter(|line| line.starts_with("- ")).collect();
    assert!(lines.len() > 40, "{} lines", lines.len());
    let mut findings = Vec::new();
    for line in lines {
        let evidence = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
        let Some((_, evidence)) = evidence else {
            findings.push(format!("no evidence: {line}"));
            continue;
        };
        for name in evidence.split(", ").filter(|name| *name != "by nature") {
            if !covered.contains_key(name) && !rules.contains(name) {
                findings.push(format!("{name} is neither a covered attack nor a rule: {line}"));
            }
        }
    }
    assert_none("the threat model", &findings);
}
