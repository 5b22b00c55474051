//! Staying signed in: a client together with the place of its login. A session goes on as another, by the agent alone
//! or by a person, and what another run of the same person stored is taken over.

use super::api::Client;
use super::login::Login;
use super::sign::{self, SigningError};
use crate::ssh::{AgentError, SignError, Signer};
use crate::wire::{MintedToken, Session};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use std::sync::Arc;

/// Why a session does not go on by itself.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// Whoever gave the token would go on giving the old one.
    #[error("its token was given for this run")]
    Given,
    /// No key opened it.
    #[error("a token is not renewed")]
    NoKey,
    /// The key asks for its person.
    #[error("your key wants to be touched")]
    Touch,
    /// Nothing was signed, or it was refused.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl RenewError {
    /// Whether it is worth another try, and nobody is bothered by it: an agent that asked its person once and had no
    /// answer would ask again.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Given | Self::NoKey | Self::Touch => false,
            Self::Signing(SigningError::Call(error)) => error.is_transient(),
            Self::Signing(SigningError::Signer(error)) => !matches!(
                error,
                SignError::Agent(AgentError::Refused | AgentError::Away(_))
            ),
            Self::Signing(_) => false,
        }
    }
}

/// A client, and where its login is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    /// The client: its token is the login's.
    pub client: Client,
    /// Where that is kept.
    pub login: Arc<Login>,
}

impl Access {
    /// A client that signs with what `login` has, if it has something.
    pub async fn open(client: Client, login: Login) -> Self {
        client.transport().set_token(login.token().await);
        Self {
            client,
            login: Arc::new(login),
        }
    }

    /// Has `session` go on as another without anybody doing anything.
    ///
    /// # Errors
    /// [`RenewError`]; the session is as good as it was.
    pub async fn renew(
        &self,
        signer: &Signer,
        session: &Session,
        now: DateTime<Utc>,
    ) -> Result<Session, RenewError> {
        if self.login.is_given() {
            return Err(RenewError::Given);
        }
        // Another run of this person may have been first.
        if let Some(newer) = self.adopt(Some(session)).await {
            return Ok(newer);
        }
        let key = session.key.as_deref().ok_or(RenewError::NoKey)?;
        let minted = sign::go_on(&self.client, signer, session, key, now).await?;
        let minted = minted.ok_or(RenewError::Touch)?;
        Ok(self.take(minted, now).await?)
    }

    /// Signs a person in, who may have to touch a key.
    ///
    /// # Errors
    /// [`SigningError`].
    pub async fn sign_in(
        &self,
        signer: &Signer,
        operator: &str,
        now: DateTime<Utc>,
    ) -> Result<Session, SigningError> {
        let minted = sign::sign_in(&self.client, signer, operator, None, now).await?;
        self.take(minted, now).await
    }

    /// Goes on with what is stored by now, if that is another login: of the same person and good for longer, where
    /// somebody is signed in.
    pub async fn adopt(&self, than: Option<&Session>) -> Option<Session> {
        let transport = self.client.transport();
        let token = self.login.other(transport.token().as_ref()).await?;
        let other = Client::over(transport.signed_with(token.clone()));
        let found = other.session().await.ok()?.value;
        let better = than.is_none_or(|than| {
            found.operator == than.operator && found.expires_at > than.expires_at
        });
        better.then(|| {
            transport.set_token(Some(token));
            found
        })
    }

    /// From here on everything is signed with the new token, and the session before it is signed out. On a task of its
    /// own: whoever calls this off half-way would leave the old token stored.
    async fn take(&self, minted: MintedToken, now: DateTime<Utc>) -> Result<Session, SigningError> {
        let access = self.clone();
        let taken = tokio::spawn(async move {
            let transport = access.client.transport();
            let before = transport.token();
            let token = SecretString::from(minted.token.clone());
            transport.set_token(Some(token.clone()));
            let life = (minted.expires_at - now).to_std().ok();
            access.login.replace(token, life).await;
            if let Some(before) = before.filter(|_| !access.login.is_given()) {
                let before = Client::over(transport.signed_with(before));
                let session = before.session().await;
                // One that cannot be signed out ends by itself. A token that an admin minted is not ours to withdraw.
                if session.is_ok_and(|session| session.value.key.is_some()) {
                    let _ = before.sign_out().await;
                }
            }
            access.client.session().await
        });
        Ok(taken.await.map_err(|_| SigningError::GivenUp)??.value)
    }
}
