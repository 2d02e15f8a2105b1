//! The server from outside: requests go in through its service, answers come out.

mod access;
mod client;
mod deleting;
mod storing;
mod watching;
