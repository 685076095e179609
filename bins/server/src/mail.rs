//! Letters about accounts, through the operator's mail server.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use pulsestream_domain::ports::{BoxError, Clock, IdSource};
use pulsestream_identity::mail::{AccountMail, Mail};
use pulsestream_notification::{Letter, Mailer, Recipient};

use crate::settings::Smtp;

/// What sends letters; none where no mail server is set up. Does not connect.
///
/// # Errors
/// When `[smtp]` makes no sense.
pub(crate) fn mailer(settings: &Smtp) -> Result<Option<Arc<Mailer>>> {
    let mailer = settings.mailer()?.map(Mailer::new).transpose().context("smtp.host")?;
    Ok(mailer.map(Arc::new))
}

/// Makes letters of mails about accounts, and sends them.
pub(crate) struct AccountLetters {
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

#[async_trait]
impl AccountMail for AccountLetters {
    async fn send(&self, mail: Mail) -> Result<(), BoxError> {
        let to: Recipient = mail.to.as_str().parse()?;
        let at = self.clock.now();
        let id = self.ids.uuid_v7(at);
        let letter = Letter { id, at, to: &to, subject: &mail.subject, text: &mail.text, html: None };
        self.mailer.send(&letter).await?;
        Ok(())
    }
}
