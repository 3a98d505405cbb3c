//! Datums as the plan's scalars: constants here, values of parameters when execution starts.

use super::{encoding, types};
use pg_sys::Datum;
use pgrx::{pg_sys, varlena};
use weir_plan::ir::Scalar;
use weir_plan::types::{PgType, oid};

/// Days from the Unix epoch to Postgres's, 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The value in the physical form of its type.
///
/// # Errors
/// The type is not in the type map, or the form cannot hold the value (a timestamp at the end of the range, an array of arrays).
///
/// # Safety
/// `datum` is a valid value of the type (or `isnull`).
pub unsafe fn datum_to_scalar(datum: Datum, isnull: bool, ty: PgType) -> Result<Scalar, String> {
    if isnull {
        return Ok(Scalar::Null);
    }
    Ok(match ty.base {
        oid::BOOL => Scalar::Bool(datum.value() as u8 != 0),
        oid::INT2 => Scalar::Int2(datum.value() as i16),
        oid::INT4 => Scalar::Int4(datum.value() as i32),
        oid::INT8 => Scalar::Int8(datum.value() as i64),
        oid::OID => Scalar::Int8(i64::from(datum.value() as u32)),
        oid::FLOAT4 => Scalar::Float4(f32::from_bits(datum.value() as u32)),
        oid::FLOAT8 => Scalar::Float8(f64::from_bits(datum.value() as u64)),
        oid::NUMERIC | oid::JSONB | oid::ENUM => {
            let text = output(datum, ty);
            if ty.base == oid::NUMERIC { Scalar::Numeric(text?) } else { Scalar::Text(text?) }
        }
        _ if ty.is_held_as_printed() => Scalar::Text(output(datum, ty)?),
        oid::TEXT | oid::VARCHAR | oid::JSON => Scalar::Text(text(datum)?),
        oid::BPCHAR => Scalar::Text(text(datum)?.trim_end_matches(' ').to_string()),
        oid::NAME => Scalar::Text(utf8(std::ffi::CStr::from_ptr(datum.cast_mut_ptr::<std::ffi::c_char>()).to_bytes())?),
        oid::BYTEA => Scalar::Bytes(bytes(datum)),
        oid::UUID => Scalar::Uuid(*datum.cast_mut_ptr::<[u8; 16]>()),
        oid::DATE => Scalar::Date(match datum.value() as i32 {
            infinite @ (i32::MIN | i32::MAX) => infinite,
            days => days.checked_add(EPOCH_DAYS).ok_or("a date out of range")?,
        }),
        oid::TIME => Scalar::Time(datum.value() as i64),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => Scalar::Timestamp(match datum.value() as i64 {
            infinite @ (i64::MIN | i64::MAX) => infinite,
            micros => micros.checked_add(EPOCH_MICROS).filter(|m| *m != i64::MAX).ok_or("a timestamp at the end of the range")?,
        }),
        oid::INTERVAL => interval(datum)?,
        _ => {
            let element = ty.element().ok_or_else(|| format!("type {} is not shipped", types::type_name(pg_sys::Oid::from(ty.oid))))?;
            array(datum, element)?
        }
    })
}

/// The type of a constant. A character literal has no length in its type: it is as long as it is written.
///
/// # Safety
/// `datum` is a valid value of the type.
pub unsafe fn with_length(datum: Datum, ty: PgType) -> Result<PgType, String> {
    if ty.base != oid::BPCHAR || ty.typmod >= 0 {
        return Ok(ty);
    }
    let length = i32::try_from(text(datum)?.chars().count()).map_err(|_| "a character value that is too long")?;
    Ok(PgType { typmod: length + pg_sys::VARHDRSZ as i32, ..ty })
}

unsafe fn interval(datum: Datum) -> Result<Scalar, String> {
    let i = &*datum.cast_mut_ptr::<pg_sys::Interval>();
    // Infinite intervals exist from release 17 on.
    let infinite = (i.month == i32::MAX && i.day == i32::MAX && i.time == i64::MAX) || (i.month == i32::MIN && i.day == i32::MIN && i.time == i64::MIN);
    if infinite {
        return Err("an infinite interval".into());
    }
    Ok(Scalar::Interval { months: i.month, days: i.day, micros: i.time })
}

/// The text form by the type's output function.
unsafe fn output(datum: Datum, ty: PgType) -> Result<String, String> {
    let (mut function, mut is_varlena) = (pg_sys::InvalidOid, false);
    pg_sys::getTypeOutputInfo(pg_sys::Oid::from(ty.oid), &mut function, &mut is_varlena);
    utf8(std::ffi::CStr::from_ptr(pg_sys::OidOutputFunctionCall(function, datum)).to_bytes())
}

unsafe fn bytes(datum: Datum) -> Vec<u8> {
    let value = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
    let start = varlena::vardata_any(value).cast::<u8>();
    std::slice::from_raw_parts(start, varlena::varsize_any_exhdr(value)).to_vec()
}

unsafe fn text(datum: Datum) -> Result<String, String> {
    utf8(&bytes(datum))
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    if encoding::is_ascii_only() && !bytes.is_ascii() {
        return Err("a text that is not ASCII, of a SQL_ASCII database".into());
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| "text that is not UTF-8".to_string())
}

unsafe fn array(datum: Datum, element: PgType) -> Result<Scalar, String> {
    let value = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
    if (*value).ndim > 1 {
        return Err("an array of arrays".into());
    }
    if (*value).ndim == 1 {
        // ARR_LBOUND: behind the header and the one dimension.
        let lower_bound = *value.cast::<u8>().add(size_of::<pg_sys::ArrayType>()).cast::<i32>().add(1);
        if lower_bound != 1 {
            return Err("an array with a lower bound other than 1".into());
        }
    }
    // Of an enum, which one.
    array_elements(Datum::from(value), (*value).elemtype, PgType { oid: (*value).elemtype.to_u32(), ..element })
}

/// The elements of an array in storage order, whatever its dimensions.
///
/// # Safety
/// `datum` is a valid array of `element_oid`, of which `element` is the type.
pub unsafe fn array_elements(datum: Datum, element_oid: pg_sys::Oid, element: PgType) -> Result<Scalar, String> {
    let value = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
    let (mut length, mut by_value, mut align) = (0, false, 0);
    pg_sys::get_typlenbyvalalign(element_oid, &mut length, &mut by_value, &mut align);
    let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
    pg_sys::deconstruct_array(value, element_oid, i32::from(length), by_value, align, &mut values, &mut nulls, &mut count);
    let mut scalars = Vec::with_capacity(count as usize);
    for i in 0..count as usize {
        scalars.push(datum_to_scalar(*values.add(i), *nulls.add(i), element)?);
    }
    Ok(Scalar::Array(scalars))
}
