//! The feed as a whole: the real service, real sockets, the real follower, real files.

mod announcement;
mod cuts;
mod faults;
mod queue;
mod restart;
mod rollback;
