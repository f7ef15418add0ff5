//! Just enough HTTP/1.1 to know where an answer ends and what it says.

/// One whole answer at the start of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Bytes of head and body.
    pub length: usize,
    /// It has a `Retry-After`.
    pub retry_after: bool,
    /// The server closes the connection after it.
    pub closes: bool,
}

/// The answer at the start of the buffer, once it is there to its end.
pub fn answer(buffer: &[u8]) -> Option<Answer> {
    let head = find(buffer, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let (mut length, mut chunked, mut retry_after, mut closes) = (None, false, false, false);
    for line in text.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse::<usize>().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("retry-after") {
            retry_after = true;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    let length = match length {
        Some(n) => (buffer.len() >= head + n).then_some(head + n)?,
        None if chunked => chunks(buffer, head)?,
        None => head,
    };
    Some(Answer { status, length, retry_after, closes })
}

/// Where a chunked body that begins at `at` ends.
fn chunks(buffer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = buffer.get(at..)?;
        let line = find(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.trim(), 16).ok()?;
        at += line + 2 + size + 2;
        if buffer.len() < at {
            return None;
        }
        if size == 0 {
            return Some(at);
        }
    }
}

/// Where `needle` begins in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_or_its_last_chunk_says() {
        let known = b"HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200";
        let want = Answer { status: 202, length: known.len() - 12, retry_after: false, closes: false };
        assert_eq!(answer(known), Some(want));
        assert_eq!(answer(&known[..known.len() - 14]), None, "the body is not there yet");
        let chunked = b"HTTP/1.1 503 x\r\nRetry-After: 2\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let want = Answer { status: 503, length: chunked.len(), retry_after: true, closes: true };
        assert_eq!(answer(chunked), Some(want));
        assert_eq!(answer(&chunked[..chunked.len() - 1]), None);
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
