//! The feed as a whole: the real service, real sockets, the real follower, real files.

mod announcement;
mod asking;
mod compaction;
mod cuts;
mod encrypted;
mod faults;
mod first_word;
mod herd;
mod merging;
mod parts;
mod queue;
mod renewal;
mod restart;
mod rollback;
mod sharing;
mod slow;
