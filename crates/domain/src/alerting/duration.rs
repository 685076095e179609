//! Lengths of time, as people write them.

use serde_json::Value;

/// Whole seconds from a number of them, or from a text such as `90s`, `5m`, `2h` or `7d`.
pub(super) fn secs(value: &Value) -> Option<u64> {
    let Value::String(text) = value else { return value.as_u64() };
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse::<u64>().ok()?.checked_mul(unit)).flatten()
}

/// The shortest way to write a number of seconds: `90s`, `5m`, `2h`, `7d`.
pub(super) fn text(secs: u64) -> String {
    for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
        if secs > 0 && secs.is_multiple_of(unit) {
            return format!("{}{name}", secs / unit);
        }
    }
    format!("{secs}s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_length_is_seconds_or_a_number_with_a_unit() {
        for (value, expected) in [
            (json!(0), Some(0)),
            (json!(90), Some(90)),
            (json!("90s"), Some(90)),
            (json!("5m"), Some(300)),
            (json!("2h"), Some(7_200)),
            (json!("7d"), Some(604_800)),
            (json!(-1), None),
            (json!(1.5), None),
            (json!("-5m"), None),
            (json!("5"), None),
            (json!("m"), None),
            (json!("5 m"), None),
            (json!("+5m"), None),
            (json!("99999999999999999999d"), None),
            (json!("300000000000000000d"), None),
            (json!("NaN"), None),
            (json!("é"), None),
            (json!(true), None),
        ] {
            assert_eq!(secs(&value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for length in [0, 1, 60, 61, 3_600, 86_400, 90_000] {
            assert_eq!(secs(&json!(text(length))), Some(length));
        }
    }
}
