//! Mail through the operator's mail server.

mod mailer;
mod recipient;

pub use mailer::{Letter, MailError, Mailer, MailerSettings, SmtpAnswer, SmtpEncryption};
pub use recipient::{BadRecipient, Recipient};
