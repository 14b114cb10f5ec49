#!/bin/sh
# Perl: strings, regular expressions, hashes, 64-bit and floating arithmetic, processes, signals, sorting.
cat >/tmp/t.pl <<'END'
use strict;
use warnings;
use POSIX ();
use List::Util qw(sum max first reduce);
my $failures = 0;
sub check { my ($name, $want, $got) = @_; if ($want eq $got) { print "PASS: $name\n" } else { print "FAIL: $name: expected \"$want\", got \"$got\"\n"; $failures++ } }
check("pi", "3.14159265358979", sprintf("%.14f", 4 * atan2(1, 1)));
check("square root", "1.4142135623730951", sprintf("%.16f", sqrt(2)));
check("exponential and logarithm", "2.718281828459045 0.693147180559945", sprintf("%.15f %.15f", exp(1), log(2)));
check("sine and cosine", "0.841470984807897 0.540302305868140", sprintf("%.15f %.15f", sin(1), cos(1)));
check("large power", "1.26765060022823e+30", 2 ** 100);
check("remainder", "2 -2", join " ", POSIX::fmod(17, 5), POSIX::fmod(-17, 5));
check("floor and ceiling", "-4 4", join " ", POSIX::floor(-3.5), POSIX::ceil(3.2));
check("64-bit integers", "9223372036854775807 18446744073709551615", sprintf("%d %u", 9223372036854775807, 18446744073709551615));
check("64-bit product", "1000000014000000049", 1000000007 * 1000000007);
check("infinities and not a number", "1 1", join " ", 9**9**9 == 9**9**9 ? 1 : 0, (9**9**9 - 9**9**9) != (9**9**9 - 9**9**9) ? 1 : 0);
my ($x, $s) = (12345, 0);
my @numbers = map { $x = ($x * 1103515245 + 12345) % 2147483648; $x } 1 .. 5000;
my @sorted = sort { $a <=> $b } @numbers;
check("sort", 1, (first { $sorted[$_] > $sorted[$_ + 1] } 0 .. $#sorted - 1) // 1);
check("sum", sum(@numbers), reduce { $a + $b } @sorted);
my %count; $count{ $_ % 97 }++ for @numbers;
check("hash", 5000, sum(values %count));
(my $text = "the quick brown fox jumps over the lazy dog") =~ s/(\w+)/\u$1/g;
check("regular expression", "The Quick Brown Fox Jumps Over The Lazy Dog", $text);
check("backtracking", "aaa|b", join "|", "aaab" =~ /^(a+)(a*b)$/);
check("pack and unpack", "3.5 -1 65535", join " ", unpack("d l S", pack("d l S", 3.5, -1, 65535)));
my @composite; my $primes = 0;
for my $n (2 .. 20000) { next if $composite[$n]; $primes++; for (my $m = $n * $n; $m <= 20000; $m += $n) { $composite[$m] = 1 } }
check("primes below 20000", 2262, $primes);
sub fib { my $n = shift; $n < 2 ? $n : fib($n - 1) + fib($n - 2) }
check("recursion", 6765, fib(20));
pipe(my $r, my $w) or die; my $pid = fork // die;
if ($pid == 0) { close $r; print $w "from the child\n"; close $w; exit 9 }
close $w; check("fork and pipe", "from the child\n", scalar <$r>); waitpid $pid, 0;
check("exit status", 9, $? >> 8);
my $alarm = 0; local $SIG{ALRM} = sub { $alarm++ }; alarm 1; select undef, undef, undef, 3; check("alarm", 1, $alarm);
check("eval and die", "caught 42\n", eval { die "caught 42\n" } // $@);
check("local time", "Thu Jan  1 00:00:00 1970", scalar gmtime 0);
exit($failures ? 1 : 0);
END
perl /tmp/t.pl
