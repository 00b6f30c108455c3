//! `watchtower completions` and `watchtower man`: what the command line says of itself, for shells and for `man`.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::error::CommandError;

fn write(bytes: &[u8]) -> Result<(), CommandError> {
    std::io::stdout().write_all(bytes).map_err(|source| CommandError::System {
        what: "cannot write to standard output".to_owned(),
        source,
    })
}

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "watchtower", &mut script);
    write(&script)
}

pub(crate) fn page(command: &[String]) -> Result<(), CommandError> {
    let mut whole = Cli::command();
    whole.build();
    let mut wanted = &whole;
    for name in command {
        wanted = wanted.find_subcommand(name).ok_or_else(|| {
            let told = command.join(" ");
            CommandError::Node(format!("there is no command {told}; see `watchtower --help`"))
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(wanted.clone()).render(&mut page).map_err(|source| {
        CommandError::System { what: "the manual page cannot be made".to_owned(), source }
    })?;
    write(&page)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_names_every_command() {
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "watchtower", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell} {}", command.get_name());
            }
        }
    }
}
