//! Looking behind an error.

use std::{error::Error, io};

/// The error and all it was caused by.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        // An io::Error does not have what it wraps among its sources.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source());
        Some(error)
    })
}

/// Whether it comes from encrypting.
pub(crate) fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<rustls::Error>()
}
