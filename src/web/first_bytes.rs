//! A connection must begin to speak within a time. The HTTP library times the head of a request, but only once it knows
//! which version is spoken, and a silent peer never says.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// Enough to tell the versions apart: the length of HTTP/2's preface.
const ENOUGH: usize = 24;

/// A connection with that time limit.
#[derive(Debug)]
pub struct FirstBytes<T> {
    io: T,
    seen: usize,
    // Gone once enough was read.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> FirstBytes<T> {
    /// Must begin to speak `within` this time.
    pub fn new(io: T, within: Duration) -> Self {
        Self { io, seen: 0, timer: Some(Box::pin(tokio::time::sleep(within))) }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FirstBytes<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if self.timer.is_none() {
            return read;
        }
        self.seen += buf.filled().len().saturating_sub(before);
        if self.seen >= ENOUGH {
            self.timer = None;
        }
        let late = read.is_pending() && self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if late { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { read }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FirstBytes<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_silent_are_cut_off_and_the_others_may_pause() {
        let (ours, mut theirs) = duplex(1024);
        let mut silent = FirstBytes::new(ours, Duration::from_millis(20));
        // The start of a preface, and then nothing.
        theirs.write_all(b"PRI").await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(silent.read(&mut buf).await.unwrap(), 3);
        assert_eq!(silent.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (ours, mut theirs) = duplex(1024);
        let mut speaking = FirstBytes::new(ours, Duration::ZERO);
        theirs.write_all(&[b'x'; ENOUGH]).await.unwrap();
        assert_eq!(speaking.read(&mut buf).await.unwrap(), ENOUGH);
        let late = tokio::spawn(async move { speaking.read(&mut [0; 8]).await });
        tokio::task::yield_now().await;
        theirs.write_all(b"late").await.unwrap();
        assert_eq!(late.await.unwrap().unwrap(), 4);
    }
}
