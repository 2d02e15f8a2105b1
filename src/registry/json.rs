//! JSON as a stream: bytes in any pieces go in, [`Event`]s come out, and nothing is held but the
//! string that is being read.
//!
//! In: pieces of one JSON text. Out: events in its order, or a reason with the byte at which it is
//! broken. Strings longer than a bound are told as too long and not kept; nesting is bounded.
//! Stricter than Go's decoder in three points: no bytes but white space may follow the value, and
//! text that is not UTF-8 or half of a surrogate pair is refused, not replaced. Pure.

/// Bytes of a string that are kept; a longer one is told without its text.
pub(super) const TEXT_BYTES_MAX: usize = 4096;

/// Objects and arrays inside one another.
pub(super) const DEPTH_MAX: u32 = 64;

/// A part of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// `{`.
    Object,
    /// `[`.
    Array,
    /// `}` or `]`.
    Close,
    /// A name in an object; `None` when it is too long.
    Key(Option<&'a str>),
    /// A string; `None` when it is too long.
    Text(Option<&'a str>),
    /// `null`.
    Null,
    /// A number, `true` or `false`.
    Other,
}

/// Reads one JSON text.
#[derive(Debug)]
pub(super) struct Reader {
    expect: Expect,
    token: Token,
    /// One bit a level, set for an object; the innermost is the lowest.
    nesting: u64,
    depth: u32,
    /// What is read of a string that holds escapes or began in an earlier piece.
    text: Vec<u8>,
    is_key: bool,
    is_long: bool,
    offset: u64,
}

/// What may come between tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ItemOrClose,
    KeyOrClose,
    Key,
    Colon,
    CommaOrClose,
    Nothing,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    Text,
    Escape,
    /// Four digits after `\u`, and the first half of a pair that waits for its second.
    Unicode {
        value: u32,
        n_digits: u8,
        high: Option<u32>,
    },
    /// The backslash (false) or `u` (true) that must follow the first half of a pair.
    Second {
        high: u32,
        is_escape: bool,
    },
    Word {
        rest: &'static [u8],
        is_null: bool,
    },
    Number(Number),
}

/// Where in a number we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Digits,
    Dot,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Number {
    /// Returns where the next byte leads, or `None` when it is no part of the number.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Digits, b'0'..=b'9') => Some(Self::Digits),
            (Self::Zero | Self::Digits, b'.') => Some(Self::Dot),
            (Self::Dot | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Digits | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'+' | b'-') => Some(Self::Sign),
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Some(Self::Power),
            _ => None,
        }
    }

    fn is_whole(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Digits | Self::Fraction | Self::Power
        )
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            expect: Expect::Value,
            token: Token::None,
            nesting: 0,
            depth: 0,
            text: Vec::new(),
            is_key: false,
            is_long: false,
            offset: 0,
        }
    }
}

impl Reader {
    /// Reads a piece and hands each event, with the number of brackets that are open around it, to
    /// `sink`. Fails with a reason when the text is broken, or with that of the sink.
    pub(super) fn read(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let start = self.offset;
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            self.offset = start + (piece.len() - rest.len()) as u64;
            rest = match self.token {
                Token::None => self.between(byte, sink).map(|()| after)?,
                Token::Text => self.text(rest, sink)?,
                Token::Number(number) => match number.next(byte) {
                    Some(next) => {
                        self.token = Token::Number(next);
                        after
                    }
                    None if number.is_whole() => {
                        self.value(sink, Event::Other)?;
                        rest
                    }
                    None => return Err(self.broken("a number is broken")),
                },
                Token::Word { rest, is_null } => {
                    self.word(byte, rest, is_null, sink)?;
                    after
                }
                Token::Escape | Token::Unicode { .. } | Token::Second { .. } => {
                    self.escape(byte)?;
                    after
                }
            };
        }
        self.offset = start + piece.len() as u64;
        Ok(())
    }

    /// Ends the text. Fails when it is not whole. A number that is all of the text has no event.
    pub(super) fn end(self) -> Result<(), String> {
        match (self.token, self.expect) {
            (Token::None, Expect::Nothing) => Ok(()),
            (Token::Number(number), _) if self.depth == 0 && number.is_whole() => Ok(()),
            _ => Err(format!("EOF after {} bytes", self.offset)),
        }
    }

    fn broken(&self, what: &str) -> String {
        format!("{what} at byte {}", self.offset)
    }

    fn between(
        &mut self,
        byte: u8,
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let is_value = matches!(self.expect, Expect::Value | Expect::ItemOrClose);
        match (byte, self.expect) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'"', Expect::Key | Expect::KeyOrClose) => self.begin_text(true),
            (b'"', _) if is_value => self.begin_text(false),
            (b':', Expect::Colon) => self.expect = Expect::Value,
            (b',', Expect::CommaOrClose) => {
                self.expect = match self.in_object() {
                    true => Expect::Key,
                    false => Expect::Value,
                };
            }
            (b'{', _) if is_value => self.open(true, sink)?,
            (b'[', _) if is_value => self.open(false, sink)?,
            (b'}', Expect::KeyOrClose) => self.close(sink)?,
            (b']', Expect::ItemOrClose) => self.close(sink)?,
            (b'}', Expect::CommaOrClose) if self.in_object() => self.close(sink)?,
            (b']', Expect::CommaOrClose) if !self.in_object() => self.close(sink)?,
            (b'-', _) if is_value => self.token = Token::Number(Number::Minus),
            (b'0', _) if is_value => self.token = Token::Number(Number::Zero),
            (b'1'..=b'9', _) if is_value => self.token = Token::Number(Number::Digits),
            (b'n', _) if is_value => self.begin_word(b"ull", true),
            (b't', _) if is_value => self.begin_word(b"rue", false),
            (b'f', _) if is_value => self.begin_word(b"alse", false),
            (_, Expect::Nothing) => return Err(self.broken("trailing data")),
            (_, Expect::Value | Expect::ItemOrClose) => {
                return Err(self.broken("expected value"));
            }
            (_, Expect::Key | Expect::KeyOrClose) => return Err(self.broken("expected a name")),
            (_, Expect::Colon) => return Err(self.broken("expected a colon")),
            (_, Expect::CommaOrClose) => return Err(self.broken("expected a comma or the end")),
        }
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.nesting & 1 == 1
    }

    fn begin_text(&mut self, is_key: bool) {
        self.token = Token::Text;
        self.is_key = is_key;
        self.is_long = false;
        self.text.clear();
    }

    fn begin_word(&mut self, rest: &'static [u8], is_null: bool) {
        self.token = Token::Word { rest, is_null };
    }

    fn open(
        &mut self,
        is_object: bool,
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.depth == DEPTH_MAX {
            return Err(self.broken(&format!("more than {DEPTH_MAX} levels")));
        }
        let (event, expect) = match is_object {
            true => (Event::Object, Expect::KeyOrClose),
            false => (Event::Array, Expect::ItemOrClose),
        };
        sink(self.depth, event)?;
        self.nesting = (self.nesting << 1) | u64::from(is_object);
        self.depth += 1;
        self.expect = expect;
        Ok(())
    }

    fn close(
        &mut self,
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        self.nesting >>= 1;
        self.depth -= 1;
        self.value(sink, Event::Close)
    }

    /// Tells a value that has ended, and expects what may follow one.
    fn value(
        &mut self,
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
        event: Event<'_>,
    ) -> Result<(), String> {
        self.token = Token::None;
        self.expect = self.after_value();
        sink(self.depth, event)
    }

    fn after_value(&self) -> Expect {
        match self.depth {
            0 => Expect::Nothing,
            _ => Expect::CommaOrClose,
        }
    }

    fn word(
        &mut self,
        byte: u8,
        rest: &'static [u8],
        is_null: bool,
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        match rest.split_first() {
            Some((want, [])) if *want == byte => {
                let event = if is_null { Event::Null } else { Event::Other };
                self.value(sink, event)
            }
            Some((want, rest)) if *want == byte => {
                self.token = Token::Word { rest, is_null };
                Ok(())
            }
            _ => Err(self.broken("expected value")),
        }
    }

    /// Reads plain characters of a string up to its end, an escape or the end of the piece.
    fn text<'p>(
        &mut self,
        piece: &'p [u8],
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
    ) -> Result<&'p [u8], String> {
        let n_plain = n_plain(piece);
        let (plain, rest) = piece.split_at(n_plain);
        let Some((&byte, after)) = rest.split_first() else {
            self.keep(plain);
            return Ok(rest);
        };
        self.offset += n_plain as u64;
        match byte {
            b'"' if self.text.is_empty() && !self.is_long => {
                self.end_text(plain, plain.len() > TEXT_BYTES_MAX, sink)?;
            }
            b'"' => {
                self.keep(plain);
                let text = std::mem::take(&mut self.text);
                self.end_text(&text, self.is_long, sink)?;
                self.text = text;
            }
            b'\\' => {
                self.keep(plain);
                self.token = Token::Escape;
            }
            _ => return Err(self.broken("a control character in a string")),
        }
        Ok(after)
    }

    fn end_text(
        &mut self,
        text: &[u8],
        is_long: bool,
        sink: &mut impl FnMut(u32, Event<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let text = match is_long {
            true => None,
            false => {
                let text = std::str::from_utf8(text);
                Some(text.map_err(|_| self.broken("a string that is not UTF-8 ends"))?)
            }
        };
        self.token = Token::None;
        if self.is_key {
            self.expect = Expect::Colon;
            return sink(self.depth, Event::Key(text));
        }
        self.value(sink, Event::Text(text))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.text.len() + bytes.len() > TEXT_BYTES_MAX {
            self.is_long = true;
        }
        if !self.is_long {
            self.text.extend_from_slice(bytes);
        }
    }

    fn escape(&mut self, byte: u8) -> Result<(), String> {
        self.token = match self.token {
            Token::Escape => match byte {
                b'"' | b'\\' | b'/' => self.escaped(byte),
                b'b' => self.escaped(0x08),
                b'f' => self.escaped(0x0c),
                b'n' => self.escaped(b'\n'),
                b'r' => self.escaped(b'\r'),
                b't' => self.escaped(b'\t'),
                b'u' => Token::Unicode {
                    value: 0,
                    n_digits: 0,
                    high: None,
                },
                _ => return Err(self.broken("an escape is none")),
            },
            Token::Second { high, is_escape } => match (byte, is_escape) {
                (b'\\', false) => Token::Second {
                    high,
                    is_escape: true,
                },
                (b'u', true) => Token::Unicode {
                    value: 0,
                    n_digits: 0,
                    high: Some(high),
                },
                _ => return Err(self.broken("half of a surrogate pair")),
            },
            Token::Unicode {
                value,
                n_digits,
                high,
            } => {
                let digit = char::from(byte).to_digit(16);
                let digit = digit.ok_or_else(|| self.broken("an escape is none"))?;
                let value = value << 4 | digit;
                match n_digits {
                    3 => self.unicode(value, high)?,
                    _ => Token::Unicode {
                        value,
                        n_digits: n_digits + 1,
                        high,
                    },
                }
            }
            other => other,
        };
        Ok(())
    }

    fn escaped(&mut self, byte: u8) -> Token {
        self.keep(&[byte]);
        Token::Text
    }

    fn unicode(&mut self, value: u32, high: Option<u32>) -> Result<Token, String> {
        let value = match (value, high) {
            (0xd800..=0xdbff, None) => {
                return Ok(Token::Second {
                    high: value,
                    is_escape: false,
                });
            }
            (0xdc00..=0xdfff, Some(high)) => 0x1_0000 + ((high - 0xd800) << 10) + (value - 0xdc00),
            (value, None) => value,
            (_, Some(_)) => return Err(self.broken("half of a surrogate pair")),
        };
        let c = char::from_u32(value).ok_or_else(|| self.broken("half of a surrogate pair"))?;
        self.keep(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(Token::Text)
    }
}

/// Returns how many bytes stand before the first quote, backslash or control character; eight are
/// looked at together.
fn n_plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    /// The lowest byte that is marked is less than `limit`; what is marked above it may not be.
    const fn less(word: u64, limit: u64) -> u64 {
        word.wrapping_sub(ONES * limit) & !word & HIGHS
    }
    let (words, rest) = bytes.as_chunks();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = less(word ^ (ONES * b'"' as u64), 1);
        let backslash = less(word ^ (ONES * b'\\' as u64), 1);
        let marked = less(word, 0x20) | quote | backslash;
        if marked != 0 {
            return n * 8 + marked.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let n_before = bytes.len() - rest.len();
    n_before + rest.iter().position(is_special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the events as text, having read the bytes in pieces of one size.
    fn events(json: &[u8], piece: usize) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        let mut sink = |depth: u32, event: Event<'_>| {
            told.push(format!("{depth} {event:?}"));
            Ok(())
        };
        let mut reader = Reader::default();
        for piece in json.chunks(piece.max(1)) {
            reader.read(piece, &mut sink)?;
        }
        reader.end()?;
        Ok(told)
    }

    #[test]
    fn events_are_the_same_in_whatever_pieces_the_bytes_come() {
        let json = r#" {"a\u00e9\n":[1.5e-3, "x\"y", "\ud83d\ude00", null,{}, [] ],"b":true} "#;
        let want = [
            "0 Object",
            "1 Key(Some(\"aé\\n\"))",
            "1 Array",
            "2 Other",
            "2 Text(Some(\"x\\\"y\"))",
            "2 Text(Some(\"😀\"))",
            "2 Null",
            "2 Object",
            "2 Close",
            "2 Array",
            "2 Close",
            "1 Close",
            "1 Key(Some(\"b\"))",
            "1 Other",
            "0 Close",
        ];
        for piece in 1..=json.len() {
            assert_eq!(events(json.as_bytes(), piece).unwrap(), want, "{piece}");
        }
    }

    #[test]
    fn what_is_taken_is_what_serde_json_takes() {
        let texts = [
            "0",
            "-0",
            "01",
            "1.",
            "1.e1",
            "1e",
            "1e+",
            "1E5",
            "-",
            "+1",
            ".5",
            "nul",
            "nulll",
            "true",
            "tru e",
            "\"",
            "\"a",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\n\"",
            "\"\\ud800\\ud800\"",
            "\"\\udc00\"",
            "\"\u{7f}\"",
            "\"\t\"",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[]",
            "[[]]",
            "[}",
            "{]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "{}{}",
            "{} x",
            "",
            " ",
            "null",
            "\u{feff}{}",
            "[\"a\"\"b\"]",
            "[1]]",
            "{\"a\":{\"b\":[1,{\"c\":null}]}}",
            "1 ",
            "1]",
        ];
        for text in texts {
            let want = serde_json::from_str::<serde_json::Value>(text).is_ok();
            for piece in [1, 2, 3, 100] {
                let got = events(text.as_bytes(), piece);
                assert_eq!(got.is_ok(), want, "{text} in pieces of {piece}: {got:?}");
            }
        }
    }

    #[test]
    fn what_is_cut_or_changed_in_one_byte_is_taken_as_serde_json_takes_it() {
        let json = br#"{"name":"a/b","tags":["1.0\u0041",null,"x"],"n":-1.5e3,"o":{"t":[true]}}"#;
        let check = |text: &[u8]| {
            let want = serde_json::from_slice::<serde_json::Value>(text).is_ok();
            let got = events(text, 7);
            let shown = String::from_utf8_lossy(text);
            assert_eq!(got.is_ok(), want, "{shown}: {got:?}");
        };
        for end in 0..json.len() {
            check(&json[..end]);
        }
        for at in 0..json.len() {
            for byte in *b"\"\\{}[],: 0aeu\x00\x1f\x7f\xc3\xff" {
                let mut text = json.to_vec();
                text[at] = byte;
                check(&text);
            }
        }
    }

    #[test]
    fn plain_bytes_end_where_the_first_special_one_stands() {
        let slow = |bytes: &[u8]| {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            bytes.iter().position(special).unwrap_or(bytes.len())
        };
        for byte in 0..=u8::MAX {
            for other in *b"\"\\ !#[]\x00\x1f\x20\x7f\x80\xa2\xdc\xff" {
                for at in 0..19 {
                    let mut bytes = [b'a'; 19];
                    bytes[at] = byte;
                    bytes[(at + 1) % 19] = other;
                    assert_eq!(n_plain(&bytes), slow(&bytes), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn long_strings_and_deep_nesting_are_bounded() {
        let text = |n: usize| format!("\"{}\"", "x".repeat(n));
        for piece in [10, 1 << 20] {
            let kept = events(text(TEXT_BYTES_MAX).as_bytes(), piece).unwrap();
            assert!(kept[0].contains("xxx"));
            let long = events(text(1 << 20).as_bytes(), piece).unwrap();
            assert_eq!(long, ["0 Text(None)"]);
        }
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let most = DEPTH_MAX as usize;
        assert!(events(deep(most).as_bytes(), 9).is_ok());
        let error = events(deep(most + 1).as_bytes(), 9).unwrap_err();
        assert_eq!(error, "more than 64 levels at byte 64");
    }
}
