//! Carries out what `protocol::vnode` decides: the life of every dispute, from the event to the collected reward.
//!
//! ```text
//!   watch (follower) --batches--> Node <--reports-- submit (submitter)
//!   http  (backups)  --slots----> Node ---wake----> submit
//!                                  | ^
//!                          proofs, | | answers
//!                          looks   v |
//!                                 jobs
//! ```
//!
//! The node is one actor: what happens is handed to it in order, it writes, then it acts. Proofs and questions to the
//! chain run beside it and come back as events. Whoever wants something of the submitter writes it to the outbox and
//! wakes it.
//!
//! **Invariant:** the cursor and all effects of what was read are one commit; the batch is acknowledged after it.
//! **Invariant:** a step is on disk, with its line in the journal, before anything is done about it.
//! **Invariant:** at a restart every dispute that is not closed goes on from its last durable step.

pub(crate) mod backlog;
pub(crate) mod book;
mod chase;
pub(crate) mod disk;
pub(crate) mod effects;
mod endings;
pub(crate) mod envelopes;
pub(crate) mod foresight;
pub(crate) mod journal;
pub(crate) mod life;
pub(crate) mod node;
pub(crate) mod notices;
pub(crate) mod obligation;
pub(crate) mod prove;
pub(crate) mod race;
pub(crate) mod standing;
pub(crate) mod submit;
mod tell;
pub(crate) mod told;
pub(crate) mod watch;
pub(crate) mod words;
