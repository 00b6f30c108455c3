//! Framing of requests and responses: a length of four bytes, big endian, then that many bytes.
//!
//! The length is checked before anything is allocated, and memory grows only with what really arrives: a peer that
//! promises much and sends little costs little. What the bytes mean is `protocol`'s.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::request_response;

/// A request/response protocol: its name and its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wire {
    /// The name that is negotiated.
    pub name: &'static str,
    /// Most bytes of a request.
    pub request_max: usize,
    /// Most bytes of a response.
    pub response_max: usize,
}

impl AsRef<str> for Wire {
    fn as_ref(&self) -> &str {
        self.name
    }
}

/// A request as it came: the router of requests keeps failed readings to itself, so one that breaks the bound is handed on as
/// what it is, and its sender can be held to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// All of it.
    Whole(Vec<u8>),
    /// Its length says that it is longer than any request may be; nothing of it was read.
    TooLong,
}

/// Reads and writes frames.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Codec;

async fn read_frame<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    if usize::try_from(length).map_or(true, |length| length > max) {
        let told = format!("a frame of {length} bytes where {max} are the most");
        return Err(io::Error::new(io::ErrorKind::InvalidData, told));
    }
    let mut bytes = Vec::new();
    io.take(length.into()).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

async fn write_frame<T: AsyncWrite + Unpin + Send>(
    io: &mut T,
    bytes: &[u8],
    max: usize,
) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= max);
    let Some(length) = length else {
        let told = format!("own frame of {} bytes where {max} are the most", bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
    };
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

impl request_response::Codec for Codec {
    type Protocol = Wire;
    type Request = Frame;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, wire: &Wire, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_frame(io, wire.request_max).await {
            Ok(bytes) => Ok(Frame::Whole(bytes)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Frame::TooLong),
            Err(error) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, wire: &Wire, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, wire.response_max).await
    }

    async fn write_request<T>(&mut self, wire: &Wire, io: &mut T, frame: Frame) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match frame {
            Frame::Whole(bytes) => write_frame(io, &bytes, wire.request_max).await,
            Frame::TooLong => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    async fn write_response<T>(&mut self, wire: &Wire, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &bytes, wire.response_max).await
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    const MAX: usize = 100;

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        block_on(read_frame(&mut Cursor::new(bytes), MAX))
    }

    #[test]
    fn a_frame_reads_what_was_written() {
        for length in [0, 1, MAX] {
            let mut written = Cursor::new(Vec::new());
            block_on(write_frame(&mut written, &vec![7; length], MAX)).unwrap();
            assert_eq!(read(written.into_inner()).unwrap(), vec![7; length]);
        }
    }

    #[test]
    fn what_is_too_long_is_neither_read_nor_written() {
        let huge = [u32::MAX.to_be_bytes().as_slice(), &[0; 10]].concat();
        assert_eq!(read(huge).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let over = [101_u32.to_be_bytes().as_slice(), &[0; 101]].concat();
        assert_eq!(read(over).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let written = block_on(write_frame(&mut Cursor::new(Vec::new()), &[0; 101], MAX));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_request_that_is_too_long_is_handed_on_as_that() {
        let mut huge = Cursor::new([u32::MAX.to_be_bytes().as_slice(), &[0; 10]].concat());
        let wire = Wire { name: "/test/1", request_max: MAX, response_max: MAX };
        let read = block_on(request_response::Codec::read_request(&mut Codec, &wire, &mut huge));
        assert_eq!(read.unwrap(), Frame::TooLong);
    }

    #[test]
    fn what_ends_early_is_an_error() {
        let whole = [3_u32.to_be_bytes().as_slice(), &[1, 2, 3]].concat();
        for end in 0..whole.len() {
            let error = read(whole[..end].to_vec()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end} bytes");
        }
    }
}
