//! A transport that dials from another port when the one where we listen may not be used.
//!
//! Over TCP, libp2p dials from the port where it listens: that is what makes holes in NATs. The kernel refuses it
//! (`AddrInUse`) while that port has connections of another process in TIME-WAIT, for a minute or longer, though it lets us
//! listen there. libp2p then fails the dial, and so would a tower that starts on a busy machine fail each of its dials.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use libp2p::core::transport::{
    DialOpts, ListenerId, PortUse, Transport, TransportError, TransportEvent,
};
use libp2p::{Multiaddr, tcp};

/// The transport beneath, whose dials that fail with [`io::ErrorKind::AddrInUse`] are made again from a new port. A dial takes a
/// socket when it is made, not when it is polled: so the second one is made only when it is needed, by a transport of its own.
pub(crate) struct FreshPort<T> {
    inner: T,
    another: fn() -> T,
}

/// TCP without delays, dialling from the listening port where it can. Must be called inside a runtime.
pub(crate) fn tcp() -> FreshPort<tcp::tokio::Transport> {
    fn another() -> tcp::tokio::Transport {
        tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
    }
    FreshPort { inner: another(), another }
}

impl<T> Transport for FreshPort<T>
where
    T: Transport<Error = io::Error> + Unpin + 'static,
    T::Dial: Send + 'static,
    T::Output: Send + 'static,
{
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = BoxFuture<'static, Result<T::Output, T::Error>>;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        let dial = self.inner.dial(address.clone(), options)?;
        if options.port_use == PortUse::New {
            return Ok(dial.boxed());
        }
        let another = self.another;
        Ok(async move {
            let taken = match dial.await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
                answer => return answer,
            };
            let options = DialOpts { port_use: PortUse::New, ..options };
            let again = another().dial(address, options);
            match again {
                Ok(again) => again.await,
                Err(TransportError::Other(error)) => Err(error),
                Err(TransportError::MultiaddrNotSupported(_)) => Err(taken),
            }
        }
        .boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{Ready, ready};
    use libp2p::core::Endpoint;

    /// Dials from the listening port fail as told, others answer.
    struct Failing(io::ErrorKind);

    /// The second dial must not be made unless it is needed.
    fn another() -> Failing {
        MADE.set(MADE.get() + 1);
        Failing(io::ErrorKind::Other)
    }

    std::thread_local! {
        static MADE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    impl Transport for Failing {
        type Output = PortUse;
        type Error = io::Error;
        type ListenerUpgrade = Ready<Result<PortUse, io::Error>>;
        type Dial = Ready<Result<PortUse, io::Error>>;

        fn listen_on(
            &mut self,
            _: ListenerId,
            _: Multiaddr,
        ) -> Result<(), TransportError<io::Error>> {
            Ok(())
        }

        fn remove_listener(&mut self, _: ListenerId) -> bool {
            false
        }

        fn dial(
            &mut self,
            _: Multiaddr,
            options: DialOpts,
        ) -> Result<Self::Dial, TransportError<io::Error>> {
            Ok(ready(match options.port_use {
                PortUse::Reuse => Err(self.0.into()),
                PortUse::New => Ok(PortUse::New),
            }))
        }

        fn poll(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
            Poll::Pending
        }
    }

    async fn dialled(failing: io::ErrorKind) -> Result<PortUse, io::Error> {
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };
        let mut transport = FreshPort { inner: Failing(failing), another };
        transport.dial(Multiaddr::empty(), options).unwrap().await
    }

    #[tokio::test]
    async fn a_dial_whose_port_is_taken_is_made_again_from_another_and_no_other_failure_is_hidden()
    {
        assert_eq!(dialled(io::ErrorKind::AddrInUse).await.unwrap(), PortUse::New);
        assert_eq!(MADE.get(), 1);
        let refused = dialled(io::ErrorKind::ConnectionRefused).await.unwrap_err();
        assert_eq!(MADE.get(), 1, "a socket for nothing");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
