//! `init`: everything that a first start needs, made once and shown.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::{Told, hash, hex};
use crate::{
    cli::Common,
    home::Home,
    settings::{self, Settings, layers::document},
};

/// Makes data folder and identity, and the file of settings if one is named that is not there yet.
pub(crate) fn run(common: &Common) -> Told {
    let mut sources = common.sources(false);
    // A file that is not there is what we are to make.
    let new_file = sources.file.take_if(|file| !file.exists());
    sources.no_file |= new_file.is_some();
    let loaded = match settings::load(&sources) {
        Ok(loaded) => loaded,
        Err(_) => match common.settings(false) {
            Ok(_) => return Told::cannot("the settings changed while they were read; try again"),
            Err(told) => return told,
        },
    };
    let mut values = loaded.values;
    // What is written holds wherever the relay is started.
    match std::path::absolute(&values.data) {
        Ok(data) => values.data = data,
        Err(error) => return Told::cannot_json(common, &error),
    }
    let home = match Home::open(&values.data) {
        Ok(home) => home,
        Err(error) => return Told::cannot_json(common, &error),
    };
    if let Some(file) = &new_file
        && let Err(error) = write(file, &values)
    {
        return Told::cannot_json(common, &format!("{} cannot be made: {error}", file.display()));
    }
    let hash = hex(&hash(home.identity()));
    let address = values.public.as_ref().map(|public| {
        use settings::value::Value as _;
        format!("chop-relay:{}#{hash}", public.show())
    });
    let file = new_file.or_else(|| sources.path());
    let data = values.data.display();
    if common.json {
        return Told::done().line(
            serde_json::json!({
                "hash": hash, "address": address, "data": data.to_string(), "settings": file,
            })
            .to_string(),
        );
    }
    let address = address.unwrap_or_else(|| {
        format!("chop-relay:HOST:PORT#{hash}   (set `public` to its HOST:PORT)")
    });
    let (file, next) = match file {
        Some(file) => (file.display().to_string(), format!(" --config {}", file.display())),
        None => {
            ("none; `init --config FILE` writes one that explains every key".into(), String::new())
        }
    };
    Told::done().line(format!(
        "address   {address}\ndata      {data}\nsettings  {file}\nnext      chopmark-relay check{next}"
    ))
}

/// Settings are no secret, and the relay may run as another user than who writes them.
fn write(file: &Path, values: &Settings) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = OpenOptions::new().create_new(true).write(true).mode(0o644).open(file)?;
    let about = "# The settings of chopmark-relay. Each key's variable of the environment and --set on the command line\n\
        # stand over what is written here; `chopmark-relay check --values` says which holds and where it came from.\n\n";
    out.write_all(about.as_bytes())?;
    out.write_all(document(values).as_bytes())?;
    out.sync_all()
}
