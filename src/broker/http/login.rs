//! Signing in with an SSH key, and going on: a challenge, and its signature.

use super::{
    App, Secret,
    extract::Stranger,
    list::answer,
    problem::{self, ApiError},
};
use crate::{
    broker::{
        engine::fresh_bits,
        signing::{self, SignedIn, SigningError},
    },
    domain::{Actor, Command, Proof, Token, TokenId, operator::SESSION_MAX},
    secret::mint_token,
    wire::{Challenge, MintedToken, NewChallenge, SshSignIn},
};
use axum::{extract::State as Shared, http::StatusCode, response::Response};

/// Asks for a nonce to sign in with. The answer is the same whether or not there is such an account.
#[utoipa::path(post, path = "/v1/login/challenge", tag = "session", security(()), request_body = NewChallenge,
    responses((status = 200, body = Challenge)))]
pub async fn login_challenge(
    Shared(app): Shared<App>,
    call: Stranger<NewChallenge>,
) -> Result<Response, ApiError> {
    let name = &call.body.operator;
    if name.is_empty() || name.len() > crate::domain::check::NAME_MAX {
        let detail = format!("expected 1 to {} bytes", crate::domain::check::NAME_MAX);
        return Err(super::extract::invalid("/operator", detail));
    }
    let purpose = signing::login_purpose(name);
    let nonces = &app.engine().signing().nonces;
    let body = Challenge {
        origin: app.engine().origin().to_owned(),
        nonce: nonces.issue(purpose, call.now, signing::LOGIN_LIFE),
        expires_at: call.now + signing::LOGIN_LIFE,
        now: call.now,
    };
    Ok(answer(call.state.sequence, &body))
}

/// Signs in by the signature over a challenge. The session's token is in this answer and nowhere else.
///
/// Where the message names a session that it `continues`, that one is renewed: the new one takes its place, the old one
/// ends within a minute, and none of them lasts beyond 12 hours after the person signed in.
#[utoipa::path(post, path = "/v1/login/ssh", tag = "session", security(()), request_body = SshSignIn,
    responses((status = 201, body = MintedToken)))]
pub async fn sign_in(
    Shared(app): Shared<App>,
    call: Stranger<SshSignIn>,
) -> Result<Response, ApiError> {
    let engine = app.engine();
    let SignedIn {
        operator,
        key,
        continues,
    } = signing::check_login(
        engine.signing(),
        &call.state,
        engine.origin(),
        &call.body.message,
        &call.body.signature,
        call.now,
    )
    .map_err(|error: SigningError| {
        ApiError::new(&problem::SIGN_IN_REFUSED, error.to_string())
            .challenge(r#"Bearer realm="countersign""#)
    })?;
    let whole = call.now + engine.signing().session;
    let expires_at = match &continues {
        Some(continued) => whole.min(continued.signed_in_at + SESSION_MAX),
        None => whole,
    };
    let secret = mint_token("opr");
    let token = Token {
        id: TokenId::from_bits(fresh_bits(call.now)),
        digest: secret.digest(),
        created_at: call.now,
        expires_at,
        key: Some(key.fingerprint()),
        continues,
    };
    let proof = Proof::Token { token: token.id };
    let context = call.context(Actor::Operator {
        id: operator.id,
        proof,
    });
    let command = Command::SignIn {
        operator: operator.id,
        token: token.clone(),
    };
    let outcome = engine.submit(command, context).await?;
    let body = MintedToken {
        operator: operator.id,
        id: token.id,
        token: secret.expose().to_owned(),
        expires_at: token.expires_at,
        sequence: outcome.sequence,
    };
    let mut response = answer(outcome.sequence, &body);
    *response.status_mut() = StatusCode::CREATED;
    response.extensions_mut().insert(Secret);
    Ok(response)
}
