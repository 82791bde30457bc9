//! A set of published cases: read, answered one by one, tallied.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a case came to.
pub(super) enum Verdict {
    /// Our answer is the published one.
    Agrees,
    /// Published as one that may be accepted, refused by us for this reason.
    Stricter(&'static str),
    /// Our interface cannot be given this case, for this reason.
    Inexpressible(&'static str),
    /// Our answer is another one.
    Disagrees,
}

impl Verdict {
    pub(super) fn of(agrees: bool) -> Self {
        if agrees { Self::Agrees } else { Self::Disagrees }
    }
}

/// What is published of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Valid,
    Acceptable,
    Invalid,
}

/// One case with the group that it belongs to.
pub(super) struct Case<'a> {
    pub(super) group: &'a Value,
    pub(super) test: &'a Value,
}

impl Case<'_> {
    /// The bytes of a field of the case.
    pub(super) fn bytes(&self, field: &str) -> Vec<u8> {
        bytes(&self.test[field])
    }

    /// Whether the case has this field.
    pub(super) fn has(&self, field: &str) -> bool {
        self.test.get(field).is_some_and(|value| !value.is_null())
    }

    pub(super) fn expected(&self) -> Expected {
        match self.test["result"].as_str().unwrap() {
            "valid" => Expected::Valid,
            "acceptable" => Expected::Acceptable,
            "invalid" => Expected::Invalid,
            other => panic!("result {other}"),
        }
    }

    fn flags(&self) -> Vec<String> {
        let flags = self.test.get("flags").and_then(Value::as_array);
        let flags = flags.into_iter().flatten().map(|flag| flag.as_str().unwrap().to_owned());
        let flags: Vec<String> = flags.collect();
        if flags.is_empty() { vec!["no flag".to_owned()] } else { flags }
    }
}

/// The bytes of a hexadecimal string.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// Answers every case of a set, prints what came out by flag, and fails unless all agree, as many ran as `set` says,
/// and the exceptions are exactly `exceptions`: a reason and how many cases.
pub(super) fn run(
    (name, cases): (&str, usize),
    json: &str,
    exceptions: &[(&str, usize)],
    answer: impl Fn(&Case<'_>) -> Verdict,
) {
    let set: Value = serde_json::from_str(json).unwrap();
    let mut ran = 0;
    let mut wrong = Vec::new();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for group in set["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let case = Case { group, test };
            let said = match answer(&case) {
                Verdict::Agrees => {
                    ran += 1;
                    "as published".to_owned()
                }
                Verdict::Stricter(reason) => {
                    assert_eq!(case.expected(), Expected::Acceptable, "{}", test["tcId"]);
                    ran += 1;
                    *found.entry(reason).or_default() += 1;
                    format!("stricter, {reason}")
                }
                Verdict::Inexpressible(reason) => {
                    *found.entry(reason).or_default() += 1;
                    format!("not counted, {reason}")
                }
                Verdict::Disagrees => {
                    wrong.push(test["tcId"].clone());
                    "WRONG".to_owned()
                }
            };
            for flag in case.flags() {
                *lines.entry(format!("{flag} ({:?}): {said}", case.expected())).or_default() += 1;
            }
        }
    }
    println!("\nexternal: wycheproof {name}: {ran} cases");
    for (line, count) in lines {
        println!("    {count:4} {line}");
    }
    assert!(wrong.is_empty(), "{name}: another answer in cases {wrong:?}");
    let found: Vec<(&str, usize)> = found.into_iter().collect();
    let mut exceptions = exceptions.to_vec();
    exceptions.sort_unstable();
    assert_eq!(found, exceptions, "{name}: what is stricter or cannot be said");
    assert_eq!(ran, cases, "{name}");
}
