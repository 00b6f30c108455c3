//! What callers hand to the writer: a change, and how they hear of its end.

use redb::WriteTransaction;
use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::node::Tables;

/// One change and its caller.
pub(crate) trait Job: Send {
    /// Decides and writes, with the tables that the jobs before it left open. `Err` means that the whole batch must be
    /// abandoned.
    fn run<'txn>(
        &mut self,
        transaction: &'txn WriteTransaction,
        tables: &mut Tables<'txn>,
    ) -> Result<(), StoreError>;
    /// Tells the caller how it ended.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A change whose answer is a `T`.
pub(crate) struct Typed<T, F, A> {
    pub(crate) apply: Option<F>,
    pub(crate) outcome: Option<Result<T, StoreError>>,
    /// Once it is known how the commit ended, before anybody is told.
    pub(crate) after: A,
    pub(crate) reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F, A> Job for Typed<T, F, A>
where
    T: Send,
    F: for<'txn> FnOnce(&'txn WriteTransaction, &mut Tables<'txn>) -> Result<T, StoreError> + Send,
    A: FnOnce() + Send,
{
    fn run<'txn>(
        &mut self,
        transaction: &'txn WriteTransaction,
        tables: &mut Tables<'txn>,
    ) -> Result<(), StoreError> {
        let Some(apply) = self.apply.take() else { return Err(StoreError::Stopped) };
        match apply(transaction, tables) {
            Err(error) if !error.is_refusal() => Err(error),
            outcome => {
                self.outcome = Some(outcome);
                Ok(())
            }
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match committed {
            Ok(()) => self.outcome.unwrap_or(Err(StoreError::Stopped)),
            Err(error) => Err(error),
        };
        (self.after)();
        // A caller that has gone away does not need the answer.
        let _ = self.reply.send(outcome);
    }
}
