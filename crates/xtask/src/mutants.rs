//! `cargo xtask mutants`: breaks each defence that `tests/mutants/` names, one at a time and in a copy of the tree, and
//! runs the tests that must notice. A mutant that no test notices is a failure, and so is one that does not compile.

mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::Deserialize;

use crate::{Outcome, codegen::root};
use tree::Tree;

/// A test that takes longer has noticed: the defence kept it from hanging.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Area {
    mutant: Vec<Mutant>,
}

/// One planted bug.
#[derive(Deserialize)]
struct Mutant {
    name: String,
    /// The name of the file that holds it.
    #[serde(skip)]
    area: String,
    #[serde(flatten)]
    edit: Edit,
    /// Edits beside the first, where one defence stands behind another.
    #[serde(default)]
    also: Vec<Edit>,
    killed_by: Vec<String>,
    /// Packages whose programs the tests run.
    #[serde(default)]
    programs: Vec<String>,
}

/// One place that is broken.
#[derive(Deserialize)]
struct Edit {
    file: String,
    find: String,
    replace: String,
}

impl Mutant {
    /// The tests that must fail, by package.
    fn tests(&self) -> Tests<'_> {
        by_package(self.killed_by.iter())
    }

    fn edits(&self) -> impl Iterator<Item = &Edit> {
        core::iter::once(&self.edit).chain(&self.also)
    }
}

/// Full names of tests, by package.
type Tests<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Runs the mutants whose name, area or broken file contains `filter`.
#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
pub(crate) fn run(filter: &str) -> Outcome {
    let mut mutants = all()?;
    mutants.retain(|mutant| {
        [&mutant.name, &mutant.area, &mutant.edit.file].iter().any(|name| name.contains(filter))
    });
    mutants.sort_by(|one, other| one.edit.file.cmp(&other.edit.file));
    if mutants.is_empty() {
        return Err(format!("no mutant is called {filter:?}").into());
    }
    let tree = Tree::copy()?;
    println!("{} mutants; first the tests as they are", mutants.len());
    build_programs(&tree, mutants.iter().flat_map(|mutant| &mutant.programs))?;
    for (package, tests) in by_package(mutants.iter().flat_map(|mutant| &mutant.killed_by)) {
        let executables = build(&tree, package)?;
        let passed = passing(&tree, package, &executables, &tests)?;
        if let Some(test) = tests.iter().find(|test| !passed.contains(**test)) {
            return Err(format!("{package} {test} does not pass, or is not there").into());
        }
    }
    let mut survivors = 0_u32;
    for mutant in &mutants {
        let survived = tree.with(mutant, || survivals(&tree, mutant))?;
        if survived.is_empty() {
            println!("killed   {}", mutant.name);
        } else {
            survivors = survivors.saturating_add(1);
            println!("SURVIVED {}: {}", mutant.name, survived.join("; "));
        }
    }
    println!("{} killed, {survivors} survived", mutants.len().saturating_sub(survivors as usize));
    if survivors == 0 { Ok(()) } else { Err(format!("{survivors} mutants survived").into()) }
}

fn all() -> Result<Vec<Mutant>, Box<dyn std::error::Error>> {
    let mut mutants = Vec::new();
    for entry in fs::read_dir(root().join("tests/mutants"))? {
        let path = entry?.path();
        let area: Area = toml::from_str(&fs::read_to_string(&path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        mutants.extend(area.mutant.into_iter().map(|it| Mutant { area: name.clone(), ..it }));
    }
    Ok(mutants)
}

fn by_package<'a>(tests: impl Iterator<Item = &'a String>) -> Tests<'a> {
    let mut packages = Tests::new();
    for (package, test) in tests.filter_map(|test| test.split_once(' ')) {
        packages.entry(package).or_default().insert(test);
    }
    packages
}

/// What is wrong with how the tests took the mutant: empty if each of them failed.
fn survivals(tree: &Tree, mutant: &Mutant) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut survived = Vec::new();
    build_programs(tree, &mutant.programs)?;
    for (package, tests) in mutant.tests() {
        match build(tree, package) {
            Ok(executables) => {
                // One test a process, so that one that hangs or aborts says nothing about another.
                for test in tests {
                    let alone = BTreeSet::from([test]);
                    if passing(tree, package, &executables, &alone)?.contains(test) {
                        survived.push(format!("{package} {test} passes"));
                    }
                }
            }
            Err(error) => survived.push(error.to_string()),
        }
    }
    Ok(survived)
}

/// Builds the programs of some packages.
fn build_programs<'a>(tree: &Tree, packages: impl IntoIterator<Item = &'a String>) -> Outcome {
    for package in packages.into_iter().collect::<BTreeSet<_>>() {
        let output = tree.cargo().args(["build", "--bins", "--package", package]).output()?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("the programs of {package} do not compile: {why}").into());
        }
    }
    Ok(())
}

/// Builds a package's tests and returns their executables.
fn build(tree: &Tree, package: &str) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let arguments = ["test", "--no-run", "--tests", "--message-format=json", "--package", package];
    let output = tree.cargo().args(arguments).output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<serde_json::Value> =
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if !output.status.success() {
        let first = messages.iter().find(|message| at(message, "/message/level") == "error");
        let why = first.map(|message| at(message, "/message/message").to_owned());
        let why = why.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned());
        return Err(format!("{package} does not compile: {why}").into());
    }
    let is_test = |message: &&serde_json::Value| {
        message.pointer("/profile/test").and_then(serde_json::Value::as_bool) == Some(true)
    };
    let executables = messages.iter().filter(is_test).map(|message| at(message, "/executable"));
    Ok(executables.filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

/// The text at a place in one of cargo's messages; empty if there is none.
fn at<'a>(message: &'a serde_json::Value, place: &str) -> &'a str {
    message.pointer(place).and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// Which of the tests pass.
fn passing<'a>(
    tree: &Tree,
    package: &str,
    executables: &[PathBuf],
    tests: &BTreeSet<&'a str>,
) -> Result<BTreeSet<&'a str>, Box<dyn std::error::Error>> {
    let mut passed = BTreeSet::new();
    for executable in executables {
        let mut command = Command::new(executable);
        command.arg("--exact").args(tests).current_dir(tree.folder_of(package));
        let shown = shown_by(command)?;
        passed.extend(tests.iter().filter(|test| {
            let line = format!("test {test} ... ok");
            shown.lines().any(|shown| shown.trim_end() == line)
        }));
    }
    Ok(passed)
}

/// What a test executable prints, for as long as patience lasts.
fn shown_by(mut command: Command) -> Result<String, Box<dyn std::error::Error>> {
    let quiet = Stdio::null;
    let mut child = command.stdin(quiet()).stderr(quiet()).stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().ok_or("a test without an output")?;
    let (done, waiting) = mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let mut shown = Vec::new();
        let read = output.read_to_end(&mut shown);
        drop(done);
        read.map(|_| shown)
    });
    if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        child.kill()?;
    }
    child.wait()?;
    let shown = reader.join().map_err(|_| "a test's output could not be read")??;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}
