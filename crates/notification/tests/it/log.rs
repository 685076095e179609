//! The log channel.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use pulsestream_notification::{Channel, OutboundPolicy, Outcome};
use tracing::instrument::WithSubscriber;

use crate::{
    names::Names,
    notices::{NOW, notice, notifier, settings},
};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_notice_is_one_line_in_the_log_whatever_its_texts_hold() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let mut notice = notice();
    notice.rule.name = "x\r\n2027-01-15 ERROR fake\u{1b}[31m\u{2028}".to_owned();
    notice.alerts[0].title.clone_from(&notice.rule.name);
    notice.receiver.clone_from(&notice.rule.name);
    let notifier = notifier(settings(OutboundPolicy::default()), Names::default());

    let attempt = notifier.attempt(&Channel::Log, &notice, NOW).with_subscriber(subscriber).await;

    assert_eq!(attempt.outcome, Outcome::Delivered);
    let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(written.matches('\n').count(), 1, "{written}");
    assert!(written.contains("a rule gave notice") && written.contains("alert.count=1"), "{written}");
    assert!(!written.contains(['\r', '\u{1b}', '\u{2028}']), "{written:?}");
}
