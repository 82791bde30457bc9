//! The demo.
use crate::outcome::Done;
use crate::show::Show;
pub(crate) const RELAY: &str = "__relay";
pub(crate) const MINT: &str = "__mint";
#[derive(clap::Args)]
pub(crate) struct Demo {
    #[arg(long)]
    keep: bool,
}
impl Demo {
    pub(crate) async fn run(self, _show: Show) -> Done {
        let _ = self.keep;
        Err(crate::outcome::Failure::failed("not in this version yet"))
    }
}
