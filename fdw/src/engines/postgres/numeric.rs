//! Numerics on their way from one Postgres to another: any of them, also those that no engine here computes with (NaN, infinity, a thousand digits).
//!
//! Source of the formats: `numeric_send` and `make_result` in `numeric.c`. Invariant: what is made is what Postgres itself would have stored, or an
//! error; no digit is lost.

use weir_plan::types::PgType;

const NEGATIVE: u16 = 0x4000;
/// The signs of NaN, infinity and minus infinity, which are also all that is stored of them.
const SPECIALS: &[(u16, &str)] = &[(0xC000, "NaN"), (0xD000, "Infinity"), (0xF000, "-Infinity")];
const NAN: u16 = 0xC000;
const MOST_DSCALE: u16 = 0x3FFF;

/// What cannot be stored.
#[derive(Debug, PartialEq, Eq)]
pub enum Unstored {
    /// The bytes are no numeric.
    Bytes,
    /// The value is none of the declared type, and why.
    Value(&'static str),
}

/// A number: groups of four digits, the first of which counts 10000^weight.
struct Number {
    negative: bool,
    weight: i32,
    dscale: u16,
    groups: Vec<u16>,
}

/// What `numeric_send` gave, as it is stored in a column of this type.
pub fn sent(bytes: &[u8], ty: &PgType, out: &mut Vec<u8>) -> Result<(), Unstored> {
    let word = |i: usize| bytes.get(i * 2..i * 2 + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes).ok_or(Unstored::Bytes);
    let (count, weight, sign, dscale) = (usize::from(word(0)?), i32::from(word(1)?.cast_signed()), word(2)?, word(3)?);
    if SPECIALS.iter().any(|(special, _)| *special == sign) {
        if sign != NAN && limits(ty).is_some() {
            return Err(Unstored::Value("it is out of range"));
        }
        out.clear();
        out.extend(sign.to_ne_bytes());
        return Ok(());
    }
    if bytes.len() != 8 + count * 2 || !matches!(sign, 0 | NEGATIVE) || dscale > MOST_DSCALE {
        return Err(Unstored::Bytes);
    }
    let groups = (0..count).map(|i| word(4 + i)).collect::<Result<Vec<_>, _>>()?;
    if groups.iter().any(|g| *g > 9999) {
        return Err(Unstored::Bytes);
    }
    let number = Number { negative: sign == NEGATIVE, weight, dscale, groups };
    // Digits that are not shown would be a value that is not the one that is seen.
    if number.stripped().is_some_and(|s| s.least() < -i32::from(dscale)) {
        return Err(Unstored::Bytes);
    }
    number.store(ty, out)
}

/// An integer, as it is stored in a numeric column of this type.
pub fn integer(value: i64, ty: &PgType, out: &mut Vec<u8>) -> Result<(), Unstored> {
    let (mut rest, mut groups) = (value.unsigned_abs(), Vec::new());
    while rest > 0 {
        groups.push(u16::try_from(rest % 10_000).unwrap_or(0));
        rest /= 10_000;
    }
    groups.reverse();
    let weight = i32::try_from(groups.len()).unwrap_or(0) - 1;
    Number { negative: value < 0, weight, dscale: 0, groups }.store(ty, out)
}

/// What a value is called that is no number.
pub fn special(bytes: &[u8]) -> Option<&'static str> {
    let sign = bytes.get(4..6).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes)?;
    SPECIALS.iter().find(|(special, _)| *special == sign).map(|(_, name)| *name)
}

/// Precision and scale of the declared type, if it has some.
fn limits(ty: &PgType) -> Option<(i32, i32)> {
    PgType::with_typmod(weir_plan::types::oid::NUMERIC, ty.typmod).numeric_precision_scale()
}

/// Groups without zeros at either end, of which there is one at least.
struct Stripped<'a> {
    weight: i32,
    groups: &'a [u16],
    first: u16,
    last: u16,
}

impl Stripped<'_> {
    /// 10 to this power is more than the number.
    fn most(&self) -> i32 {
        self.weight * 4 + i32::try_from(self.first.checked_ilog10().unwrap_or(0)).unwrap_or(0) + 1
    }

    /// The last digit that is not zero counts 10 to this power.
    fn least(&self) -> i32 {
        let zeros = [1000u16, 100, 10].iter().position(|n| self.last.is_multiple_of(*n)).map_or(0, |i| 3 - i);
        (self.weight + 1 - i32::try_from(self.groups.len()).unwrap_or(0)) * 4 + i32::try_from(zeros).unwrap_or(0)
    }
}

impl Number {
    /// `None` for zero.
    fn stripped(&self) -> Option<Stripped<'_>> {
        let start = self.groups.iter().position(|g| *g != 0)?;
        let end = self.groups.iter().rposition(|g| *g != 0)? + 1;
        let groups = self.groups.get(start..end)?;
        Some(Stripped { weight: self.weight - i32::try_from(start).unwrap_or(0), groups, first: *groups.first()?, last: *groups.last()? })
    }

    fn store(&self, ty: &PgType, out: &mut Vec<u8>) -> Result<(), Unstored> {
        let own = self.stripped();
        let mut dscale = self.dscale;
        if let Some((precision, scale)) = limits(ty) {
            if own.as_ref().is_some_and(|n| n.most() > precision - scale) {
                return Err(Unstored::Value("it is out of range"));
            }
            if own.as_ref().is_some_and(|n| n.least() < -scale) {
                return Err(Unstored::Value("it has too many digits after the point"));
            }
            dscale = u16::try_from(scale.max(0)).unwrap_or(0);
        }
        let (weight, groups) = own.as_ref().map_or((0, &[][..]), |n| (n.weight, n.groups));
        let negative = self.negative && !groups.is_empty();
        out.clear();
        if dscale <= 0x3F && (-0x40..=0x3F).contains(&weight) {
            let weight = u16::try_from(weight & 0x3F).unwrap_or(0) | if weight < 0 { 0x40 } else { 0 };
            out.extend((0x8000 | if negative { 0x2000 } else { 0 } | dscale << 7 | weight).to_ne_bytes());
        } else {
            out.extend((if negative { NEGATIVE } else { 0 } | dscale).to_ne_bytes());
            out.extend(i16::try_from(weight).map_err(|_| Unstored::Bytes)?.to_ne_bytes());
        }
        out.extend(groups.iter().flat_map(|g| g.to_ne_bytes()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::types::oid;

    fn typed(precision: i32, scale: i32) -> PgType {
        PgType::with_typmod(oid::NUMERIC, ((precision << 16) | (scale & 0x7ff)) + 4)
    }

    fn bytes(groups: &[u16], weight: i16, sign: u16, dscale: u16) -> Vec<u8> {
        [u16::try_from(groups.len()).expect("few"), weight.cast_unsigned(), sign, dscale].iter().chain(groups).flat_map(|w| w.to_be_bytes()).collect()
    }

    fn stored(groups: &[u16], weight: i16, sign: u16, dscale: u16, ty: PgType) -> Result<Vec<u16>, Unstored> {
        let mut out = vec![1, 2, 3];
        sent(&bytes(groups, weight, sign, dscale), &ty, &mut out)?;
        Ok(out.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect())
    }

    #[test]
    fn numbers_are_stored_as_postgres_does() {
        // 12.5 and -0.001, as heap pages have them.
        assert_eq!(stored(&[12, 5000], 0, 0, 1, PgType::NUMERIC), Ok(vec![0x8080, 12, 5000]));
        assert_eq!(stored(&[10], -1, NEGATIVE, 3, PgType::NUMERIC), Ok(vec![0xA1FF, 10]));
        assert_eq!(stored(&[], 0, 0, 2, PgType::NUMERIC), Ok(vec![0x8100]), "0.00");
        assert_eq!(stored(&[1], 100, 0, 0, PgType::NUMERIC), Ok(vec![0, 100, 1]), "many digits");
        assert_eq!(stored(&[1], -100, NEGATIVE, 400, PgType::NUMERIC), Ok(vec![0x4000 | 400, (-100i16).cast_unsigned(), 1]));
        assert_eq!(stored(&[0, 7, 0], 1, 0, 0, PgType::NUMERIC), Ok(vec![0x8000, 7]), "zeros at the ends are not stored");
    }

    #[test]
    fn what_is_no_number_is_stored_where_it_can_be() {
        for (sign, name) in SPECIALS {
            assert_eq!(stored(&[], 0, *sign, 0, PgType::NUMERIC), Ok(vec![*sign]));
            assert_eq!(special(&bytes(&[], 0, *sign, 0)), Some(*name));
        }
        assert_eq!(stored(&[], 0, NAN, 0, typed(5, 2)), Ok(vec![NAN]));
        assert_eq!(stored(&[], 0, 0xD000, 0, typed(5, 2)), Err(Unstored::Value("it is out of range")));
    }

    #[test]
    fn a_declared_type_shows_its_own_scale_and_loses_no_digit() {
        assert_eq!(stored(&[1, 5000], 0, 0, 1, typed(5, 2)), Ok(vec![0x8100, 1, 5000]));
        assert_eq!(stored(&[1, 5000], 0, 0, 4, typed(5, 1)), Ok(vec![0x8080, 1, 5000]), "only zeros are cut");
        assert_eq!(stored(&[1, 5100], 0, 0, 2, typed(5, 1)), Err(Unstored::Value("it has too many digits after the point")));
        assert_eq!(stored(&[999], 0, 0, 0, typed(5, 2)), Ok(vec![0x8100, 999]));
        assert_eq!(stored(&[1000], 0, 0, 0, typed(5, 2)), Err(Unstored::Value("it is out of range")));
        assert_eq!(stored(&[12, 3000], 1, 0, 0, typed(3, -3)), Ok(vec![0x8001, 12, 3000]));
        assert_eq!(stored(&[12, 3400], 1, 0, 0, typed(3, -3)), Err(Unstored::Value("it has too many digits after the point")));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(stored(&[10_000], 0, 0, 0, PgType::NUMERIC), Err(Unstored::Bytes));
        assert_eq!(stored(&[1], 0, 0x1234, 0, PgType::NUMERIC), Err(Unstored::Bytes));
        assert_eq!(stored(&[1, 5], 0, 0, 1, PgType::NUMERIC), Err(Unstored::Bytes), "digits that are not shown");
        let mut out = Vec::new();
        let whole = bytes(&[1, 2], 1, 0, 0);
        for cut in 0..whole.len() {
            assert_eq!(sent(&whole[..cut], &PgType::NUMERIC, &mut out), Err(Unstored::Bytes), "{cut}");
        }
    }

    #[test]
    fn integers_are_numerics() {
        let of = |v: i64, ty: PgType| {
            let mut out = Vec::new();
            integer(v, &ty, &mut out).map(|()| out.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect::<Vec<_>>())
        };
        assert_eq!(of(0, PgType::NUMERIC), Ok(vec![0x8000]));
        assert_eq!(of(-120_000, PgType::NUMERIC), Ok(vec![0xA001, 12]));
        assert_eq!(of(i64::MIN, PgType::NUMERIC), Ok(vec![0xA004, 922, 3372, 368, 5477, 5808]));
        assert_eq!(of(7, typed(5, 2)), Ok(vec![0x8100, 7]));
        assert_eq!(of(1000, typed(5, 2)), Err(Unstored::Value("it is out of range")));
    }
}
