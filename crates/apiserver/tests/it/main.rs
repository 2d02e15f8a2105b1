//! The server from outside: requests go in through its service, answers come out.

mod client;
mod deleting;
mod storing;
mod watching;
