package wire

import (
	"bytes"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"sync"
)

// A frame has thousands of numbers, and strconv takes 100 microseconds for some
// that are a few bytes long, those near zero and those that lie between two
// floats. So numbers that can be such are converted here, by dividing integers.

// decimal is 0.digits times ten to the power of exponent.
type decimal struct {
	negative bool
	digits   []byte // without zeros at either end
	exponent int
}

// maxDigits are as many as can decide between two floats; what follows is one
// digit that says whether there was more.
const maxDigits = 800

// readDecimal reads a JSON number.
func readDecimal(literal []byte) (d decimal) {
	d.digits = make([]byte, 0, 32)
	point := false
	for i, c := range literal {
		switch {
		case c == '-':
			d.negative = true
		case c == '.':
			point = true
		case c == 'e' || c == 'E':
			d.exponent += readExponent(literal[i+1:])
			return d.trimmed()
		case c < '0' || c > '9':
			return d.trimmed() // nobody scanned it
		case c == '0' && len(d.digits) == 0:
			if point {
				d.exponent--
			}
		default:
			if !point {
				d.exponent++
			}
			if len(d.digits) < maxDigits {
				d.digits = append(d.digits, c)
			} else if c != '0' && len(d.digits) == maxDigits {
				d.digits = append(d.digits, '1')
			}
		}
	}
	return d.trimmed()
}

func (d decimal) trimmed() decimal {
	for n := len(d.digits); n > 0 && d.digits[n-1] == '0'; n-- {
		d.digits = d.digits[:n-1]
	}
	return d
}

// readExponent reads what follows the e. More digits than a frame can make up
// for are all the same.
func readExponent(b []byte) (e int) {
	for _, c := range b {
		if c != '-' && c != '+' && e < 1<<26 {
			e = e*10 + int(c-'0')
		}
	}
	if len(b) > 0 && b[0] == '-' {
		return -e
	}
	return e
}

// parseFloat reads a JSON number as strconv.ParseFloat should, in a microsecond
// or two unless it is long. A number that is too great is infinite.
func parseFloat(literal []byte) float64 {
	if len(literal) > 17 || bytes.ContainsAny(literal, "eE") {
		d := readDecimal(literal)
		if len(literal) > maxDigits || len(d.digits) > 19 || d.exponent < -290 || d.exponent > 290 {
			return d.float()
		}
	}
	f, _ := strconv.ParseFloat(string(literal), 64)
	return f
}

// quotients are scratch space.
var quotients = sync.Pool{New: func() any { return new(quotient) }}

type quotient struct{ n, scaled, q, r big.Int }

// float rounds d to the nearest float, to the even one of two.
func (d decimal) float() float64 {
	sign := 1.0
	if d.negative {
		sign = -1
	}
	switch {
	case len(d.digits) == 0 || d.exponent < -330:
		return math.Copysign(0, sign)
	case d.exponent > 310:
		return math.Inf(int(sign))
	}
	w := quotients.Get().(*quotient)
	defer quotients.Put(w)
	n := &w.n
	if u, err := strconv.ParseUint(string(d.digits), 10, 64); err == nil {
		n.SetUint64(u)
	} else {
		n.SetString(string(d.digits), 10)
	}
	divisor := powerOfTen(0)
	if e := d.exponent - len(d.digits); e < 0 {
		divisor = powerOfTen(-e)
	} else {
		n.Mul(n, powerOfTen(e))
	}

	// 63 or 64 bits of the quotient; the last of them also tells of a rest.
	shift := 63 + divisor.BitLen() - n.BitLen()
	if shift >= 0 {
		n = w.scaled.Lsh(n, uint(shift))
	} else {
		divisor = w.scaled.Lsh(divisor, uint(-shift))
	}
	w.q.QuoRem(n, divisor, &w.r)
	u := w.q.Uint64()
	if w.r.Sign() != 0 {
		u |= 1
	}
	drop := max(bits.Len64(u)-53, shift-1074) // a float has 53 bits, and none below 2^-1074
	kept, rest, half := u>>drop, u&(1<<drop-1), uint64(1)<<(drop-1)
	if drop <= 64 && (rest > half || rest == half && kept&1 == 1) {
		kept++
	}
	return sign * math.Ldexp(float64(kept), drop-shift)
}

var powersOfTen = sync.OnceValue(func() (table [400]*big.Int) {
	p := big.NewInt(1)
	for i := range table {
		table[i] = p
		p = new(big.Int).Mul(p, big.NewInt(10))
	}
	return table
})

// powerOfTen is shared, and must not be changed.
func powerOfTen(e int) *big.Int {
	if table := powersOfTen(); e < len(table) {
		return table[e]
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(e)), nil)
}
