//! inet and cidr, held as they are printed.
//!
//! Source: `network.c`. Values that print alike are equal, and the other way round; their order is that of their bits, which their text
//! has not: it is found here, and nothing is sorted by it.

use super::super::text::lower_call::{binary, make, with_args};
use super::super::text::rows::kernel;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{BooleanBuilder, Int32Builder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, Operator};
use std::cmp::Ordering;
use std::net::IpAddr;

/// An address and the length of its network.
struct Network {
    is_v6: bool,
    /// From the highest bit on.
    address: u128,
    bits: u32,
}

impl Network {
    fn read(text: &str) -> Result<Network> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let invalid = || refused("an inet that could not be read");
        let (is_v6, address) = match address.parse().map_err(|_| invalid())? {
            IpAddr::V4(a) => (false, u128::from(a.to_bits()) << 96),
            IpAddr::V6(a) => (true, a.to_bits()),
        };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| invalid())?,
            None => full(is_v6),
        };
        Ok(Network { is_v6, address, bits })
    }

    /// The first bits of both.
    fn compare_first(&self, other: &Network, bits: u32) -> Ordering {
        let first = |n: &Network| n.address.checked_shr(128 - bits.min(128)).unwrap_or(0);
        first(self).cmp(&first(other))
    }

    fn compare(&self, other: &Network) -> Ordering {
        let order = self.is_v6.cmp(&other.is_v6);
        order.then_with(|| self.compare_first(other, self.bits.min(other.bits))).then(self.bits.cmp(&other.bits)).then_with(|| self.address.cmp(&other.address))
    }

    fn contains(&self, other: &Network) -> bool {
        self.is_v6 == other.is_v6 && self.bits <= other.bits && self.compare_first(other, self.bits).is_eq()
    }
}

const fn full(is_v6: bool) -> u32 {
    if is_v6 { 128 } else { 32 }
}

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        920 => equal(call, Operator::Eq),
        925 => equal(call, Operator::NotEq),
        921 => order(call, "network_lt", Ordering::is_lt),
        922 => order(call, "network_le", Ordering::is_le),
        923 => order(call, "network_gt", Ordering::is_gt),
        924 => order(call, "network_ge", Ordering::is_ge),
        927 => within(call, "network_sub", |inner, outer| outer.contains(inner) && inner.bits > outer.bits),
        928 => within(call, "network_subeq", |inner, outer| outer.contains(inner)),
        929 => within(call, "network_sup", |outer, inner| outer.contains(inner) && inner.bits > outer.bits),
        930 => within(call, "network_supeq", |outer, inner| outer.contains(inner)),
        730 => make(
            call,
            "inet_text",
            "",
            kernel!(StringViewBuilder::new(), |s: text| Some(if s.contains('/') { s.to_owned() } else { format!("{s}/{}", full(s.contains(':'))) })),
        ),
        699 => make(call, "inet_host", "", kernel!(StringViewBuilder::new(), |s: text| Some(host(s)))),
        711 => make(call, "inet_family", "", kernel!(Int32Builder::new(), |s: text| Some(if s.contains(':') { 6 } else { 4 }))),
        697 => make(call, "inet_masklen", "", kernel!(Int32Builder::new(), |s: text| Some(i32::try_from(Network::read(s)?.bits).unwrap_or(0)))),
        _ => return None,
    })
}

fn host(s: &str) -> &str {
    s.split_once('/').map_or(s, |(host, _)| host)
}

fn equal(call: &Call<'_>, op: Operator) -> Result<Value> {
    let [left, right] = call.args.as_slice() else { return Err(refused("a comparison of other than two addresses")) };
    Ok(Value::bool(binary(left.expr.clone(), op, right.expr.clone())))
}

fn order(call: &Call<'_>, name: &'static str, holds: fn(Ordering) -> bool) -> Result<Value> {
    make(call, name, "", kernel!(BooleanBuilder::new(), |a: text, b: text| Some(holds(Network::read(a)?.compare(&Network::read(b)?)))))
}

fn within(call: &Call<'_>, name: &'static str, holds: fn(&Network, &Network) -> bool) -> Result<Value> {
    let args = call.args.iter().map(|a| a.expr.clone()).collect();
    with_args(call, name, "", args, kernel!(BooleanBuilder::new(), |a: text, b: text| Some(holds(&Network::read(a)?, &Network::read(b)?))))
}

/// Bytes that are ordered as the addresses are: the network, its length, the whole address; and the address as it is printed.
///
/// Of two networks that agree as far as the shorter goes, its own bits behind that are zeros, so it is not the greater one.
pub(super) fn key(text: &str) -> Result<Vec<u8>> {
    let n = Network::read(text)?;
    let bits = n.bits.min(128);
    let network = n.address & u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    let mut key = vec![u8::from(n.is_v6)];
    key.extend(network.to_be_bytes());
    key.push(u8::try_from(bits).unwrap_or(u8::MAX));
    key.extend(n.address.to_be_bytes());
    key.extend(text.as_bytes());
    Ok(key)
}

/// The address of which this is the key.
pub(super) fn of_key(key: &[u8]) -> Result<&str> {
    key.get(34..).and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(|| refused("an address whose key is broken"))
}

/// A cidr as inet, which prints no length that is the full one.
pub(crate) fn cidr_as_inet(cidr: Expr) -> Expr {
    let kernel = kernel!(StringViewBuilder::new(), |s: text| Some(match Network::read(s)? {
        Network { is_v6, bits, .. } if bits == full(is_v6) => host(s),
        _ => s,
    }));
    udf::call("cidr_as_inet", "", DataType::Utf8View, vec![cidr], kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ordered_by_their_networks_first() {
        let ascending = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0", "10.0.0.1/8", "10.0.0.1", "10.1.0.0/16", "9.255.255.255", "::/0", "::ffff:1.2.3.4", "fe80::1"];
        let read = |s: &str| Network::read(s).unwrap();
        assert!(read(ascending[1]).compare(&read(ascending[2])).is_lt());
        for (a, b) in ascending.iter().flat_map(|a| ascending.iter().map(move |b| (a, b))) {
            assert_eq!(key(a).unwrap().cmp(&key(b).unwrap()), read(a).compare(&read(b)), "{a} {b}");
            assert_eq!(of_key(&key(a).unwrap()).unwrap(), *a);
        }
        assert!(read("9.255.255.255").compare(&read("10.0.0.0")).is_lt());
        assert!(read("10.0.0.1/8").compare(&read("10.0.0.0")).is_lt());
        assert!(read("255.255.255.255").compare(&read("::")).is_lt());
        assert!(read("10.0.0.0/8").contains(&read("10.1.2.3")) && !read("10.0.0.0/8").contains(&read("11.0.0.0")));
        assert!(read("0.0.0.0/0").contains(&read("10.0.0.0/8")) && !read("0.0.0.0/0").contains(&read("::1")));
    }
}
