package wire

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// checkFloat compares parseFloat, and the slow way that it may take, with strconv,
// which is wrong itself about integers of more than 800 digits.
func checkFloat(t *testing.T, literal string) {
	t.Helper()
	want, _ := strconv.ParseFloat(literal, 64)
	if exact, ok := new(big.Rat).SetString(literal); ok && len(literal) > maxDigits {
		want, _ = exact.Float64()
	}
	for _, got := range []float64{parseFloat([]byte(literal)), readDecimal([]byte(literal)).float()} {
		if math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%.60s is %v, want %v", literal, got, want)
		}
	}
}

func TestFloatsAreRoundedAsStrconvDoes(t *testing.T) {
	for _, literal := range []string{
		"0", "-0", "0.0", "-0e5", "0e-99999999999", "1", "-1.5", "12e2", "100", "1e22", "1e23", "0.1", "123456789012345678901234567890",
		"5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "2.4e-324", "7.4e-324", "1e-323", "2.2250738585072011e-308", "2.2250738585072014e-308",
		"2.225073858507201136057409796709131975934819546351645648e-308", "-4.9e-324", "1e-400", "1e-99999999999999999999",
		"1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1.797693134862315807e308", "1e308", "1e309", "-1e310", "1e99999999999999999999",
		"9007199254740993.0", "9007199254740993.00000000000000000000000000000001", "9007199254740992.99999999999999999999999999",
		"0." + strings.Repeat("0", 5000) + "1e5000", "1" + strings.Repeat("0", 5000) + "e-5000", "1" + strings.Repeat("1", 2000) + ".5e-1900",
		"9007199254740993." + strings.Repeat("0", 900) + "1", "9007199254740993." + strings.Repeat("0", 900),
	} {
		checkFloat(t, literal)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		f := math.Float64frombits(r.Uint64() >> (r.IntN(12) * r.IntN(2)))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		checkFloat(t, strconv.FormatFloat(f, 'e', -1, 64))
		checkFloat(t, strconv.FormatFloat(f, 'e', r.IntN(30), 64))
	}
}

func TestHalfwayBetweenTwoFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		f := math.Float64frombits(r.Uint64N(0x7fe0000000000000) >> (r.IntN(12) * r.IntN(2)))
		half := halfway(f)
		for _, more := range []string{"", "1", strings.Repeat("0", 100) + "1"} {
			mantissa, exponent, _ := strings.Cut(half, "e")
			checkFloat(t, mantissa+more+"e"+exponent)
			checkFloat(t, mantissa[:min(len(mantissa), 22)]+more+"e"+exponent)
		}
	}
}

// halfway is the number between f and the next float, in full.
func halfway(f float64) string {
	sum := new(big.Float).SetPrec(2200).SetFloat64(f)
	sum.Add(sum, big.NewFloat(math.Nextafter(f, math.Inf(1))))
	return sum.Quo(sum, big.NewFloat(2)).Text('e', 1100)
}

// With strconv the costly ones take a thousand times as long.
func TestNoNumberIsCostly(t *testing.T) {
	frameOf := func(number string) []byte {
		return []byte(`{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"content":{"n":[` + strings.Repeat(number+",", 4000) + `0]}}}`)
	}
	cost := func(number string) time.Duration {
		frame, least := frameOf(number), time.Hour
		for range 5 {
			start := time.Now()
			requests, _, err := JSON.Parse(frame, ScanLimits{})
			var p SendParams
			if err != nil || requests[0].Err != nil || JSON.Decode(requests[0].Params, &p) != nil {
				t.Fatal(number, err)
			}
			if _, err := Canonical(&p); err != nil {
				t.Fatal(number, err)
			}
			if _, err := Transcode(nil, frame); err != nil {
				t.Fatal(number, err)
			}
			least = min(least, time.Since(start))
		}
		return least
	}
	plain := cost("0.1234567890123456e-7")
	for _, number := range []string{"1e-320", "2.2250738585072011e-308", "5e-324", "1.7976931348623158e308", "8.4416912000000000000001e-299"} {
		if got := cost(number); got > 100*plain {
			t.Errorf("%s takes %v, an ordinary number %v", number, got, plain)
		}
	}
}

func FuzzFloat(f *testing.F) {
	for _, literal := range []string{"1", "-0.5e-3", "5e-324", "1.7976931348623159e308", "9007199254740993.00000000000000000000001"} {
		f.Add(literal)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		s := jsonScanner{scanState{b: []byte(literal), limits: ScanLimits{}.withDefaults(), relaxed: true}}
		if len(literal) <= maxDigits && s.number() == nil && s.at == len(literal) {
			checkFloat(t, literal)
		}
	})
}

func BenchmarkParseFloat(b *testing.B) {
	for _, literal := range []string{"52.5200", "1e-7", "0.1234567890123456e-7", "1.7976931348623157e308", "2.2250738585072011e-308", "5e-324", "9007199254740993.00000000000000000000000000001"} {
		b.Run(literal, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parseFloat([]byte(literal))
			}
		})
		b.Run(fmt.Sprint(literal, "/strconv"), func(b *testing.B) {
			for b.Loop() {
				_, _ = strconv.ParseFloat(literal, 64)
			}
		})
	}
}
