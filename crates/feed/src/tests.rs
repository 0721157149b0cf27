//! The feed as a whole: the real service, real sockets, the real follower, real files.

mod announcement;
mod asking;
mod cuts;
mod encrypted;
mod faults;
mod first_word;
mod herd;
mod merging;
mod parts;
mod queue;
mod restart;
mod rollback;
mod slow;
