//! Mail through the operator's mail server.

mod line_stream;
mod mailer;
mod recipient;

pub use mailer::{Letter, MailError, Mailer, MailerSettings, SmtpAnswer, SmtpEncryption};
pub use recipient::{BadRecipient, Recipient};
