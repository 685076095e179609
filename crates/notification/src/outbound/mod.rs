//! The way out: which addresses may be reached, and the one request that an attempt makes.

mod addresses;
mod client;
mod destination;
mod policy;
mod resolver;
mod slots;

pub use client::Timeouts;
pub(crate) use client::{HttpClient, Post};
pub use destination::{Destination, DestinationError};
pub use policy::{OutboundPolicy, PrivateDestinations};
pub use resolver::{Resolver, SystemResolver};
pub(crate) use slots::Slots;
