//! `login` and `logout`: a token for the next commands, kept where this machine can keep it.

use std::io::Read;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::app::App;
use super::error::CliError;
use super::prompt;
use crate::client::Client;
use crate::client::login::{Login, LoginOptions, Place};
use crate::client::sign;
use crate::config::{Variables, variables};

/// The longest token that is read, in bytes.
const TOKEN_BYTES: u64 = 8 * 1024;

/// Arguments of `login`.
#[derive(Clone, Debug, Args)]
pub struct LoginArgs {
    /// Sign in as this operator with a key of your SSH agent; without it a token is read
    #[arg(value_name = "OPERATOR")]
    operator: Option<String>,
    /// The key to sign in with, by fingerprint; the first that is accepted if left out
    #[arg(long, value_name = "SHA256:…", requires = "operator")]
    key: Option<String>,
    /// Keep the token in a private file when there is no better place
    #[arg(long)]
    in_file: bool,
}

/// Arguments of `logout`.
#[derive(Clone, Debug, Args)]
pub struct LogoutArgs {
    /// Forget the token here only; it keeps working where else it is
    #[arg(long)]
    here_only: bool,
}

/// Signs in.
///
/// # Errors
/// When there is no token, or the broker does not accept it.
pub async fn login(app: &mut App<'_>, args: &LoginArgs) -> Result<(), CliError> {
    let target = app.target()?;
    let client = App::anonymous(&target)?;
    let origin = client.transport().origin().to_owned();
    let token: SecretString = match &args.operator {
        Some(operator) => with_key(app, &client, operator, args.key.as_deref()).await?,
        None => read_token(app, &origin).await?,
    };
    client.transport().set_token(Some(token.clone()));
    let session = client.session().await;
    let session = session
        .map_err(CliError::call(format!("sign in at {origin}")))?
        .value;

    let options = LoginOptions {
        origin: origin.clone(),
        token_file: None,
        allow_file: args.in_file,
    };
    let login = Login::open(&options, &without_token(&app.io.variables))?;
    let left = (session.expires_at - app.io.now).to_std().ok();
    let place = login
        .keep(token, Some(left.unwrap_or(Duration::from_mins(1))))
        .await;
    if place == Place::Memory {
        return Err(CliError::Declined(
            "the token is good, but this machine has no place to keep it: use --in-file, --token-file or COUNTERSIGN_TOKEN"
                .to_owned(),
        ));
    }
    let mut until = app.style().full(session.expires_at);
    if let Some(bound) = session
        .renewable_until
        .filter(|bound| *bound > session.expires_at)
    {
        let bound = app.style().full(bound);
        until = format!("{until}, renewed by an open console until {bound} at the latest");
    }
    app.say(&format!(
        "Signed in at {origin} ({}) as {} until {until}. {}",
        target.name,
        session.name,
        place.sentence()
    ))?;
    if app.io.variables.has(variables::TOKEN) {
        app.say("COUNTERSIGN_TOKEN is set and goes before the kept token")?;
    }
    Ok(())
}

async fn with_key(
    app: &App<'_>,
    client: &Client,
    operator: &str,
    key: Option<&str>,
) -> Result<SecretString, CliError> {
    let signer = app.signer();
    let minted = sign::sign_in(client, &signer, operator, key, app.io.now).await;
    let minted = minted.map_err(CliError::signing("sign in"))?;
    Ok(minted.token.into())
}

/// Signs out.
///
/// # Errors
/// When the broker cannot be told; the token is forgotten here all the same.
pub async fn logout(app: &mut App<'_>, args: &LogoutArgs) -> Result<(), CliError> {
    let target = app.target()?;
    let client = App::anonymous(&target)?;
    let origin = client.transport().origin().to_owned();
    let login = app.open_login(&client)?;
    let Some(token) = login.token().await else {
        return app.say(&format!("Nobody was signed in at {origin}"));
    };
    client.transport().set_token(Some(token));
    let told = if args.here_only {
        Ok(())
    } else {
        client.sign_out().await
    };
    login.forget().await;
    match told {
        // It was no good any more: what was wanted is so.
        Err(error) if !error.is_unauthenticated() => Err(CliError::Call {
            doing: format!("withdraw the token at {origin}; it is forgotten here"),
            source: error,
            key: None,
        }),
        _ => app.say(&format!("Signed out at {origin}")),
    }
}

async fn read_token(app: &mut App<'_>, origin: &str) -> Result<SecretString, CliError> {
    if app.global.token_file.is_some() {
        let options = LoginOptions {
            origin: origin.to_owned(),
            token_file: app.global.token_file.clone(),
            allow_file: false,
        };
        // The store chain reads and checks the file.
        let login = Login::open(&options, &Variables::default())?;
        return login
            .token()
            .await
            .ok_or_else(|| CliError::Usage("the token file holds no token".to_owned()));
    }
    let text = if app.io.can_ask() {
        prompt::hidden(app.io, &format!("Token for {origin} (not shown): "))?
    } else {
        let mut text = Zeroizing::new(String::new());
        let mut input = (&mut *app.io.input).take(TOKEN_BYTES + 1);
        let read = input.read_to_string(&mut text);
        read.map_err(CliError::files("read the token from standard input"))?;
        text
    };
    let token = text.trim();
    let fine = !token.is_empty()
        && token.len() as u64 <= TOKEN_BYTES
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !fine {
        return Err(CliError::Usage(
            "that is no token; expected one line of printable characters from the prompt, standard input or --token-file".to_owned(),
        ));
    }
    Ok(token.into())
}

/// The variables without the token: what is kept must not depend on it.
fn without_token(all: &Variables) -> Variables {
    let kept = variables::ALL
        .iter()
        .filter(|variable| **variable != variables::TOKEN)
        .filter_map(|variable| Some((variable.name, all.get(*variable)?)));
    Variables::of(kept)
}
