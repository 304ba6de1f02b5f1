//! The workers, which compute, and how the page talks to them.
//!
//! [`client`] is the page's end of the wire and [`run`] the worker's; [`message`] is what goes over it; [`store`] brings
//! models. One program, `worker`, holds every model that answers; which requests it knows is in [`protocol`].

pub mod client;
pub mod failure;
pub mod message;
pub mod protocol;
pub mod run;
pub mod store;

pub use failure::{Failure, FailureKind};
