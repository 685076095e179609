//! Mails with a link to set a password, sent beside the requests that ask for them.

use pulsestream_domain::{
    identity::{Origin, Purpose, User},
    ports::{BoxError, StoreError},
};
use pulsestream_identity::mail::Mail;

use super::session::new_token;
use crate::state::State;

/// Why a mail was not sent. Whoever waits for it asks again.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("the mail was not taken")]
    Mail(#[source] BoxError),
}

/// Does it beside the request, whose time must tell nothing of it. Nothing happens when too many are under way.
pub(super) fn beside(state: &State, sending: impl Future<Output = Result<(), SendError>> + Send + 'static) {
    let Ok(permit) = state.mail_permits.clone().try_acquire_owned() else {
        tracing::warn!("a mail about an account was not sent: too many are under way");
        return;
    };
    state.mails.spawn(async move {
        let _permit = permit;
        if let Err(error) = sending.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a mail about an account was not sent");
        }
    });
}

/// Makes a token that sets the user's password, good for so long, and mails them what `mail` makes of the link.
pub(super) async fn send_link(
    state: &State,
    user: &User,
    good_for_secs: i64,
    origin: &Origin,
    mail: impl FnOnce(&str) -> Mail,
) -> Result<(), SendError> {
    let Some(letterbox) = &state.identity.mail else { return Ok(()) };
    let token = new_token(state, Purpose::PasswordReset, user.tenant_id);
    let expires_at = origin.at.plus_secs(good_for_secs);
    state.store.create_password_reset(user.tenant_id, user.id, &token.digest(), expires_at, origin).await?;
    // Behind the `#`, which browsers send to nobody.
    let link = format!("{}/reset-password#{}", state.settings.public_url, token.reveal());
    letterbox.send(mail(&link)).await.map_err(SendError::Mail)
}
