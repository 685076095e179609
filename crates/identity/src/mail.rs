//! How people get what only they may know.

use async_trait::async_trait;
use pulsestream_domain::{identity::Email, ports::BoxError};

/// A mail to one person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// To whom.
    pub to: Email,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// Delivers mails about accounts.
#[async_trait]
pub trait AccountMail: Send + Sync {
    /// Hands a mail over. What it says is secret: it is not logged.
    ///
    /// # Errors
    /// When it was not taken. It is not tried again: the person asks again.
    async fn send(&self, mail: Mail) -> Result<(), BoxError>;
}

impl Mail {
    /// What somebody gets who was made a user, with a link to choose a password.
    pub fn invitation(to: Email, tenant: &str, link: &str, hours: i64) -> Self {
        let text = format!(
            "You are a user of {tenant} now, with the address {to}.\n\n\
             To choose your password, open this within {hours} hours:\n\n{link}\n\n\
             If that comes as a surprise, there is nothing to do: without a password nobody gets in.\n"
        );
        Self { to, subject: "You are invited".to_owned(), text }
    }

    /// What somebody gets who has to set a new password.
    pub fn password_reset(to: Email, link: &str, minutes: i64) -> Self {
        let text = format!(
            "Somebody, probably you, wants to set a new password for {to}.\n\n\
             To do so, open this within {minutes} minutes:\n\n{link}\n\n\
             If it was not you, there is nothing to do: your password stays as it is.\n"
        );
        Self { to, subject: "Set a new password".to_owned(), text }
    }
}
