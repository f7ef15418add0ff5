//! Short rows as LZ4 blocks against a dictionary whose index is made once. `lz4_flex`, which reads them again, indexes the
//! dictionary anew for every row that it writes, which takes longer than the row.

/// The index of a dictionary has this many slots, as a power of two.
const DICTIONARY_BITS: u32 = 12;
/// The same for the row itself, which is shorter and indexed each time.
const ROW_BITS: u32 = 10;
/// Longer rows fill their index, and gain little by the dictionary.
const LONGEST: usize = 8 * 1024;
/// The shortest match (LZ4 block format).
const SHORTEST: usize = 4;
/// The last match begins at least so many bytes before the end (the same, "end of block conditions").
const LAST_MATCH: usize = 12;
/// So many bytes at the end belong to no match (the same).
const LAST_LITERALS: usize = 5;
/// After two to this power places without a match the search takes longer steps.
const PATIENCE: u32 = 5;

/// Places by a hash of the four bytes that stand there; each plus one, 0 for none.
type Places<const SLOTS: usize> = [u16; SLOTS];

/// A dictionary with its index.
pub struct Dictionary {
    bytes: &'static [u8],
    places: Box<Places<{ 1 << DICTIONARY_BITS }>>,
}

impl Dictionary {
    /// Indexes it. What stands beyond 48 KiB is not found: a match reaches 64 KiB back.
    pub fn new(bytes: &'static [u8]) -> Self {
        let mut places = Box::new([0; _]);
        for at in 0..bytes.len().min(48 << 10) {
            if let Some(four) = four(bytes, at) {
                put::<DICTIONARY_BITS, _>(&mut places, four, at);
            }
        }
        Self { bytes, places }
    }

    /// Appends the row as an LZ4 block; none when the row is too long for that.
    pub fn squeeze(&self, row: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if row.len() > LONGEST {
            return None;
        }
        out.reserve(row.len() + row.len() / 255 + 16);
        let mut places: Places<{ 1 << ROW_BITS }> = [0; _];
        let (mut at, mut written, mut misses) = (0, 0, 0);
        let last = row.get(..row.len().saturating_sub(LAST_LITERALS)).unwrap_or_default();
        while at + LAST_MATCH <= row.len() {
            let Some(now) = four(row, at) else { break };
            let own = get::<ROW_BITS, _>(&places, now).filter(|from| four(row, *from) == Some(now));
            put::<ROW_BITS, _>(&mut places, now, at);
            let found = own.map(|from| (row, from, at - from)).or_else(|| {
                let from = get::<DICTIONARY_BITS, _>(&self.places, now)?;
                let (bytes, back) = (self.bytes, at + self.bytes.len() - from);
                (four(bytes, from) == Some(now)).then_some((bytes, from, back))
            });
            let offset = found.and_then(|(bytes, from, back)| Some((bytes, from, u16::try_from(back).ok()?)));
            let Some((bytes, from, offset)) = offset else {
                misses += 1;
                at += 1 + (misses >> PATIENCE);
                continue;
            };
            let before = same_before(row.get(written..at), bytes.get(..from));
            let length = before + SHORTEST + same(last.get(at + SHORTEST..), bytes.get(from + SHORTEST..));
            let begin = at - before;
            sequence(out, row.get(written..begin).unwrap_or_default(), Some((offset, length)));
            at = begin + length;
            (written, misses) = (at, 0);
            // One place inside the match: what follows is often found by it.
            if let Some(inside) = four(row, at - 2) {
                put::<ROW_BITS, _>(&mut places, inside, at - 2);
            }
        }
        sequence(out, row.get(written..).unwrap_or_default(), None);
        Some(())
    }
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; SHORTEST]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Knuth's multiplicative hash, which LZ4 uses as well.
fn slot<const BITS: u32>(four: [u8; SHORTEST]) -> usize {
    (u32::from_le_bytes(four).wrapping_mul(2_654_435_761) >> (32 - BITS)) as usize
}

fn get<const BITS: u32, const SLOTS: usize>(places: &Places<SLOTS>, four: [u8; SHORTEST]) -> Option<usize> {
    usize::from(*places.get(slot::<BITS>(four))?).checked_sub(1)
}

fn put<const BITS: u32, const SLOTS: usize>(places: &mut Places<SLOTS>, four: [u8; SHORTEST], at: usize) {
    if let (Some(place), Ok(at)) = (places.get_mut(slot::<BITS>(four)), u16::try_from(at + 1)) {
        *place = at;
    }
}

/// How many bytes both begin with.
fn same(a: Option<&[u8]>, b: Option<&[u8]>) -> usize {
    let ((a, a_rest), (b, b_rest)) = (a.unwrap_or_default().as_chunks::<8>(), b.unwrap_or_default().as_chunks::<8>());
    let mut length = 0;
    for (a, b) in a.iter().zip(b) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let a = a.get(length / 8..).unwrap_or_default().as_flattened().iter().chain(a_rest);
    let b = b.get(length / 8..).unwrap_or_default().as_flattened().iter().chain(b_rest);
    length + a.zip(b).take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
fn same_before(a: Option<&[u8]>, b: Option<&[u8]>) -> usize {
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Literals, and a match of (offset, length) after them except at the end.
fn sequence(out: &mut Vec<u8>, literals: &[u8], found: Option<(u16, usize)>) {
    let length = found.map_or(0, |(_, length)| length - SHORTEST);
    let nibble = |n: usize| u8::try_from(n.min(15)).unwrap_or(15);
    out.push(nibble(literals.len()) << 4 | nibble(length));
    more(out, literals.len());
    out.extend_from_slice(literals);
    if let Some((offset, _)) = found {
        out.extend_from_slice(&offset.to_le_bytes());
        more(out, length);
    }
}

/// What of a length does not fit into its four bits.
fn more(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(15) else { return };
    while let Some(less) = rest.checked_sub(255) {
        out.push(255);
        rest = less;
    }
    out.push(u8::try_from(rest).unwrap_or(u8::MAX));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: &[u8] = b"severity critical warning status firing resolved service host environment production title \
        description alertname instance fingerprint started_at onset_at first_seen last_seen incident reason score";

    fn check(dictionary: &'static [u8], row: &[u8]) -> usize {
        let mut out = vec![7];
        Dictionary::new(dictionary).squeeze(row, &mut out).unwrap();
        assert_eq!(out.remove(0), 7, "it is appended");
        let back = lz4_flex::block::decompress_with_dict(&out, row.len(), dictionary).unwrap();
        assert_eq!(back, row);
        out.len()
    }

    #[test]
    fn rows_come_back_and_are_as_small_as_the_librarys() {
        let long = WORDS.repeat(60);
        for row in [
            &b""[..],
            b"a",
            b"severity cri",
            b"severity crit",
            b"the severity is critical, the status is firing",
            WORDS,
            &[b'x'; 5000],
            &[b"production instance ".repeat(9), b"0123456789abcdefghij".to_vec(), WORDS.to_vec()].concat(),
            long.get(..LONGEST).unwrap(),
        ] {
            let length = check(WORDS, row);
            let library = lz4_flex::block::compress_with_dict(row, WORDS).len();
            assert!(length <= library + 2, "{length} and {library} for {:?}", String::from_utf8_lossy(row));
        }
        check(b"", WORDS);
        check(b"abc", WORDS);
        assert_eq!(Dictionary::new(WORDS).squeeze(&[0; LONGEST + 1], &mut Vec::new()), None);
    }

    #[test]
    fn far_places_of_a_large_dictionary_are_found_or_left_out() {
        static LARGE: [u8; 64 << 10] = {
            let (mut bytes, mut at, mut state) = ([0; 64 << 10], 0, 1_u32);
            while at < bytes.len() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                bytes[at] = (state >> 24) as u8;
                at += 1;
            }
            bytes
        };
        for from in [0, 100, (48 << 10) - 50, 60 << 10] {
            check(&LARGE, &LARGE[from..from + 200]);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_comes_back(
            parts in prop::collection::vec((0..WORDS.len(), 1..40_usize, prop::collection::vec(any::<u8>(), 0..20)), 0..60),
        ) {
            let mut row = Vec::new();
            for (from, length, noise) in parts {
                row.extend(WORDS.iter().skip(from).take(length));
                row.extend(noise);
            }
            check(WORDS, &row);
        }
    }
}
