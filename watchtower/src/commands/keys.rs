//! `watchtower keys`: secrets are made on disk; only public parts are shown.

use std::path::Path;

use protocol::seed::Seed;

use crate::cli::KeysCommand;
use crate::commands::say;
use crate::config::Config;
use crate::error::CommandError;
use crate::keys::{Password, import_account, new_account, new_seed, open_account, read_seed};

pub(crate) fn execute(config: &Config, command: &KeysCommand) -> Result<(), CommandError> {
    let keystore = config.keystore_path();
    let password = |flag: &Option<std::path::PathBuf>| {
        Password::find(flag.as_deref().or(config.account.password_file.as_deref()))
    };
    match command {
        KeysCommand::New { seed: Some(path), .. } => {
            new_seed(path)?;
            say(format_args!("seed     {}", path.display()))?;
            say(
                "Keep a copy of this file in a safe place: with it and the chain everything else is restored.",
            )?;
            show_seed(path)
        }
        KeysCommand::New { seed: None, password_file } => {
            let account = new_account(&keystore, &password(password_file)?)?;
            say(format_args!("account  {}", account.address()))?;
            say(format_args!("keystore {}", keystore.display()))?;
            say(
                "Send it ether for gas before `watchtower run`; keep a copy of the keystore and of its password.",
            )
        }
        KeysCommand::Import { file, password_file } => {
            let account = import_account(file, &keystore, &password(password_file)?)?;
            say(format_args!("account  {}", account.address()))?;
            say(format_args!("keystore {}", keystore.display()))
        }
        KeysCommand::Show { seed: Some(path), .. } => show_seed(path),
        KeysCommand::Show { seed: None, password_file } => {
            let account = open_account(&keystore, &password(password_file)?)?;
            say(format_args!("account  {}", account.address()))
        }
    }
}

/// The public keys of a seed: what a counterparty and the chain get to know.
fn show_seed(path: &Path) -> Result<(), CommandError> {
    let secret = read_seed(path)?;
    let seed = Seed::from_bytes(*secret);
    say(format_args!("channel  {}", seed.channel_key().public_key()))?;
    say(format_args!("session  {}", seed.session_key().address().get()))
}
