namespace Zqfp.Evaluation.Tests;

public sealed class PairedSharesTests
{
    private const double Z2 = 1.959963984540054 * 1.959963984540054;

    [Theory]
    [InlineData(20)]
    [InlineData(100)]
    [InlineData(2000)]
    public void Where_no_pair_disagrees_the_interval_is_that_of_a_share_of_nothing(int pairs)
    {
        Interval interval = PairedShares.Interval(pairs, lost: 0, won: 0);

        Assert.Equal(Z2 / (pairs + Z2), interval.High, 9);
        Assert.Equal(-interval.High, interval.Low, 9);
    }

    [Theory]
    [InlineData(10, 2)]
    [InlineData(30, 15)]
    [InlineData(9, 3)]
    public void Nothing_lies_at_its_end_exactly_where_McNemars_test_is_at_its_limit(int lost, int won)
    {
        Interval interval = PairedShares.Interval(1000, lost, won);

        bool rejects = Math.Abs(lost - won) / Math.Sqrt(lost + won) > Math.Sqrt(Z2);
        Assert.Equal(rejects, interval.Low > 0);
        Assert.InRange((lost - won) / 1000.0, interval.Low, interval.High);
    }

    [Fact]
    public void Exchanging_the_models_exchanges_the_ends()
    {
        Interval one = PairedShares.Interval(150, 12, 5);
        Interval other = PairedShares.Interval(150, 5, 12);

        Assert.Equal(-one.Low, other.High, 9);
        Assert.Equal(-one.High, other.Low, 9);
    }

    [Fact]
    public void Of_many_pairs_it_is_the_plain_interval()
    {
        const int Pairs = 1_000_000;
        Interval interval = PairedShares.Interval(Pairs, 60_000, 50_000);
        double half = Math.Sqrt(Z2) * Math.Sqrt(0.11 - (0.01 * 0.01)) / Math.Sqrt(Pairs);

        Assert.Equal(0.01 - half, interval.Low, 5);
        Assert.Equal(0.01 + half, interval.High, 5);
    }

    [Theory]
    [InlineData(1, 1, 0)]
    [InlineData(1, 0, 1)]
    [InlineData(5, 5, 0)]
    public void It_stays_within_what_a_difference_can_be(int pairs, int lost, int won)
    {
        Interval interval = PairedShares.Interval(pairs, lost, won);

        Assert.InRange(interval.Low, -1, interval.High);
        Assert.InRange(interval.High, interval.Low, 1);
    }
}
