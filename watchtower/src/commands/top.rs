//! `watchtower top`: a live tower in the terminal.

use super::{runtime, say};
use crate::cli::TopArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::top::{Client, run};

pub(crate) fn execute(config: &Config, arguments: &TopArgs) -> Result<(), CommandError> {
    let url = arguments.url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
    let system = |what: &str| {
        let what = what.to_owned();
        move |source| CommandError::System { what, source }
    };
    let client = Client::new(&url)
        .map_err(std::io::Error::other)
        .map_err(system("cannot make an HTTP client"))?;
    let shown = runtime()?
        .block_on(run(&client, arguments.once))
        .map_err(system("the terminal cannot be used"))?;
    let Some(frame) = shown else { return Ok(()) };
    say(frame.text.trim_end())?;
    if frame.answered {
        return Ok(());
    }
    Err(CommandError::System {
        what: "there is no tower".to_owned(),
        source: std::io::Error::other(url),
    })
}
