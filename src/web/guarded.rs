//! A connection must begin to speak within a time, and must take what is written to it. The HTTP library times the head
//! of a request, but only once it knows which version is spoken, and a silent peer never says; what it writes it does not
//! time at all.

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

/// A connection with these time limits.
#[derive(Debug)]
pub struct Guarded<T> {
    io: T,
    seen: usize,
    // Gone once enough was read.
    timer: Option<Pin<Box<Sleep>>>,
    stall: Duration,
    // There while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Guarded<T> {
    /// Must begin to speak `within` this time; a write that makes no progress for `stall` fails.
    pub fn new(io: T, within: Duration, stall: Duration) -> Self {
        Self { io, seen: 0, timer: Some(Box::pin(tokio::time::sleep(within))), stall, stalled: None }
    }

    fn written<R>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let stall = self.stall;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
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

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.io).poll_flush(cx);
        self.written(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.io).poll_shutdown(cx);
        self.written(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_silent_are_cut_off_and_the_others_may_pause() {
        let (ours, mut theirs) = duplex(1024);
        let mut silent = Guarded::new(ours, Duration::from_millis(20), Duration::MAX);
        // The start of a preface, and then nothing.
        theirs.write_all(b"PRI").await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(silent.read(&mut buf).await.unwrap(), 3);
        assert_eq!(silent.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (ours, mut theirs) = duplex(1024);
        let mut speaking = Guarded::new(ours, Duration::ZERO, Duration::MAX);
        theirs.write_all(&[b'x'; ENOUGH]).await.unwrap();
        assert_eq!(speaking.read(&mut buf).await.unwrap(), ENOUGH);
        let late = tokio::spawn(async move { speaking.read(&mut [0; 8]).await });
        tokio::task::yield_now().await;
        theirs.write_all(b"late").await.unwrap();
        assert_eq!(late.await.unwrap().unwrap(), 4);
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_off_and_a_slow_one_is_not() {
        let (ours, mut theirs) = duplex(64);
        let mut io = Guarded::new(ours, Duration::MAX, Duration::from_millis(50));
        let slowly = async {
            let mut taken = 0;
            while taken < 512 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                taken += theirs.read(&mut [0; 64]).await.unwrap();
            }
        };
        // One task that asks the reader first: when the machine lets both wake late, what was taken counts before the
        // time that is over meanwhile.
        let ((), written) = tokio::join!(biased; slowly, io.write_all(&[b'x'; 512]));
        written.unwrap();
        assert_eq!(io.write_all(&[b'x'; 512]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
