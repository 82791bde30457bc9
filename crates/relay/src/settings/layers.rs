//! A file, the environment and flags over each other: typed values, each with where it came from.
//!
//! Nothing here is of a relay: any table that is [`Keys`] is filled the same way.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// One key of a table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, with its section: `limits.connections`.
    pub name: &'static str,
    /// What it means, in a sentence or two.
    pub about: &'static str,
    /// How its value is written.
    pub form: &'static str,
    /// Whether a running program takes a new value on SIGHUP.
    pub live: bool,
}

/// A table of settings: what each key means, and how to set and show it.
pub trait Keys: Default {
    /// All keys, in the order in which they are explained.
    fn keys() -> &'static [Key];

    /// Sets a key from text.
    ///
    /// # Errors
    /// What the value must be. An unknown key is the caller's to refuse before.
    fn set(&mut self, key: &str, text: &str) -> Result<(), String>;

    /// The value of a key, as text that [`set`](Self::set) reads; `None` for an unknown one.
    fn show(&self, key: &str) -> Option<String>;
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A flag that stands for several keys.
    Preset(&'static str),
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(by) => f.write_str(by),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// Something wrong with a setting. Text for the operator's terminal: it names paths, and goes into no log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, if it is about one.
    pub key: Option<String>,
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong and what to do.
    pub why: String,
}

impl Fault {
    /// About one key.
    pub fn of(key: &str, origin: Origin, why: String) -> Self {
        Self { key: Some(key.to_owned()), origin, why }
    }

    /// For a log, which holds no value and no path: the key that is wrong, or that the file is.
    pub fn in_short(&self) -> &str {
        self.key.as_deref().unwrap_or("the file cannot be read")
    }

    /// About a whole file.
    pub fn unreadable(path: &Path, error: &dyn fmt::Display) -> Self {
        let why = format!("cannot be read: {error}");
        Self { key: None, origin: Origin::File(path.to_owned()), why }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}: {} ({})", self.why, self.origin),
            None => write!(f, "{}: {}", self.origin, self.why),
        }
    }
}

/// A file that explains every key: those with another value than the default are set, the others stand behind a `#`.
pub fn document<S: Keys>(values: &S) -> String {
    use std::fmt::Write as _;
    let (defaults, mut text, mut section) = (S::default(), String::new(), "");
    for key in S::keys() {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            let _ = write!(text, "\n[{of}]");
        }
        let (shown, default) = (values.show(key.name), defaults.show(key.name));
        let off = if shown == default { "# " } else { "" };
        let shown = quoted(&shown.unwrap_or_default());
        let live = if key.live { " SIGHUP applies it." } else { "" };
        let _ =
            write!(text, "\n# {}{live}\n# It is {}.\n{off}{name} = {shown}\n", key.about, key.form);
    }
    text.trim_start().to_owned()
}

/// As TOML writes it.
fn quoted(text: &str) -> String {
    match text.parse::<u64>().is_ok() || text.parse::<bool>().is_ok() {
        true => text.to_owned(),
        false => toml::Value::String(text.to_owned()).to_string(),
    }
}

/// Settings that were read, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded<S> {
    /// The values.
    pub values: S,
    origins: BTreeMap<&'static str, Origin>,
    /// What is not wrong but surely not meant: variables that look like settings and are none.
    pub warnings: Vec<String>,
}

impl<S: Keys> Loaded<S> {
    /// Where the value of a key came from.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// Every key with its value and where that came from, in the table's order.
    pub fn explain(&self) -> impl Iterator<Item = (&'static Key, String, &Origin)> {
        S::keys()
            .iter()
            .filter_map(|key| Some((key, self.values.show(key.name)?, self.origin(key.name))))
    }

    /// The keys whose values differ from those of `other`.
    pub fn changed(&self, other: &Self) -> Vec<&'static Key> {
        let differs = |key: &&Key| self.values.show(key.name) != other.values.show(key.name);
        S::keys().iter().filter(differs).collect()
    }

    fn set(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), Fault> {
        let Some(key) = S::keys().iter().find(|known| known.name == key) else {
            return Err(Fault::of(key, origin, unknown::<S>(key)));
        };
        match self.values.set(key.name, text) {
            Ok(()) => {
                self.origins.insert(key.name, origin);
                Ok(())
            }
            Err(form) => Err(Fault::of(key.name, origin, format!("must be {form}"))),
        }
    }
}

/// The variable of the environment that sets a key.
pub fn variable(prefix: &str, key: &str) -> String {
    format!("{prefix}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// What is read, each over what comes before it.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// Keys and values, and the flag that asks for them.
    pub presets: Option<(&'static str, &'a [(&'static str, String)])>,
    /// A file's path and text.
    pub file: Option<(&'a Path, &'a str)>,
    /// What stands before each variable of the environment that is a setting.
    pub prefix: &'a str,
    /// Names and values of the environment, others among them.
    pub environment: &'a [(String, String)],
    /// Keys and values of the command line.
    pub flags: &'a [(String, String)],
}

/// Reads all layers.
///
/// # Errors
/// Every fault of every layer.
pub fn load<S: Keys>(layers: &Layers<'_>) -> Result<Loaded<S>, Vec<Fault>> {
    let (loaded, faults) = load_what_is_right(layers);
    if faults.is_empty() { Ok(loaded) } else { Err(faults) }
}

/// Reads all layers, and leaves out what is wrong.
pub fn load_what_is_right<S: Keys>(layers: &Layers<'_>) -> (Loaded<S>, Vec<Fault>) {
    let (values, origins, warnings) = (S::default(), BTreeMap::new(), Vec::new());
    let mut loaded = Loaded { values, origins, warnings };
    let mut faults = Vec::new();
    let Layers { presets, file, prefix, environment, flags } = *layers;
    if let Some((by, keys)) = presets {
        let set = |(key, text): &(&str, String)| loaded.set(key, text, Origin::Preset(by)).err();
        faults.extend(keys.iter().filter_map(set));
    }
    if let Some((path, text)) = file {
        match text.parse::<toml::Table>() {
            Ok(table) => from_file(&mut loaded, &mut faults, path, "", &table),
            // The parser's own text shows the line.
            Err(error) => faults.push(Fault::unreadable(path, &error)),
        }
    }
    for (name, text) in environment.iter().filter(|(name, _)| name.starts_with(prefix)) {
        match S::keys().iter().find(|key| variable(prefix, key.name) == *name) {
            Some(key) => {
                let origin = Origin::Environment(name.clone());
                faults.extend(loaded.set(key.name, text, origin).err());
            }
            // Not refused: programs that start programs put variables of their own there.
            None => {
                let known = S::keys().iter().map(|key| variable(prefix, key.name));
                let near = nearest(name, known).map(|near| format!("; did you mean {near}?"));
                let near = near.unwrap_or_default();
                loaded.warnings.push(format!("the variable {name} is no setting{near}"));
            }
        }
    }
    for (key, text) in flags {
        faults.extend(loaded.set(key, text, Origin::Flag).err());
    }
    (loaded, faults)
}

fn from_file<S: Keys>(
    loaded: &mut Loaded<S>,
    faults: &mut Vec<Fault>,
    path: &Path,
    section: &str,
    table: &toml::Table,
) {
    for (name, value) in table {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let origin = || Origin::File(path.to_owned());
        let text = match value {
            toml::Value::Table(inner) => {
                let begins = |known: &&Key| known.name.starts_with(&format!("{key}."));
                if S::keys().iter().any(|known| begins(&known)) {
                    from_file(loaded, faults, path, &key, inner);
                } else {
                    faults.push(Fault::of(&key, origin(), unknown::<S>(&key)));
                }
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => {
                let why = "must be a text, a whole number, true or false".to_owned();
                faults.push(Fault::of(&key, origin(), why));
                continue;
            }
        };
        faults.extend(loaded.set(&key, &text, origin()).err());
    }
}

fn unknown<S: Keys>(key: &str) -> String {
    let sections = S::keys().iter().filter_map(|key| key.name.split_once('.'));
    let known = S::keys().iter().map(|key| key.name).chain(sections.map(|(section, _)| section));
    match nearest(key, known.map(str::to_owned)) {
        Some(near) => format!("is not known; did you mean {near}?"),
        None => "is not known; `check --keys` lists every key".to_owned(),
    }
}

/// The known name that is nearest, if any is near: a third of it may differ, or only its section be wrong.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let scored = known.map(|known| {
        let same = last(&known) == last(name) && known.contains('.') | name.contains('.');
        (if same { 0 } else { distance(name, &known) }, known)
    });
    let (distance, near) = scored.min()?;
    (distance.saturating_mul(3) <= near.len().max(3)).then_some(near)
}

/// How many letters to insert, delete or change.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut next = vec![above.saturating_add(1)];
        for (other, pair) in to.iter().zip(row.windows(2)) {
            let (change, delete) = match pair {
                [change, delete] => (*change, *delete),
                _ => continue,
            };
            let insert = next.last().copied().unwrap_or(0);
            let change = change.saturating_add(usize::from(letter != *other));
            next.push(change.min(delete.saturating_add(1)).min(insert.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
