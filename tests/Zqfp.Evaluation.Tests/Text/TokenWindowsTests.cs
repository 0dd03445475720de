namespace Zqfp.Evaluation.Tests;

public class TokenWindowsTests
{
    private static readonly int[] Ids = [.. Enumerable.Range(0, 1000)];

    [Fact]
    public void Windows_do_not_overlap_and_the_tail_is_dropped()
    {
        int[][] windows = TokenWindows.Cut(Ids.AsSpan(0, 11), 3);
        Assert.Equal([[0, 1, 2], [3, 4, 5], [6, 7, 8]], windows);
        Assert.Equal([[0, 1, 2], [3, 4, 5]], TokenWindows.Cut(Ids.AsSpan(0, 11), 3, max: 2));
        Assert.Single(TokenWindows.Cut(Ids.AsSpan(0, 3), 3, max: 9));
    }

    [Fact]
    public void A_beginning_token_takes_the_place_of_one_id()
    {
        Assert.Equal([[7, 0, 1], [7, 2, 3]], TokenWindows.Cut(Ids.AsSpan(0, 5), 3, beginningId: 7));
        var stream = new TokenStream { Ids = Ids[..5], Source = "x", Documents = 1, WindowBeginningId = 7 };
        Assert.Equal([[7, 0, 1], [7, 2, 3]], TokenWindows.Cut(stream, 3));
        Assert.All(TokenWindows.Sample(stream, 3, 2, 1), window => Assert.Equal(7, window[0]));
    }

    [Fact]
    public void Samples_are_windows_without_repetition()
    {
        int[][] all = TokenWindows.Cut(Ids, 7);
        int[][] drawn = TokenWindows.Sample(Ids, 7, 50, seed: 3);
        Assert.Equal(50, drawn.Select(window => window[0]).Distinct().Count());
        Assert.All(drawn, window => Assert.Contains(window, all));
        Assert.Equal(all.Length, TokenWindows.Sample(Ids, 7, 100_000, seed: 3).Length);
        Assert.Equal(all, TokenWindows.Sample(Ids, 7, 100_000, seed: 3).OrderBy(window => window[0]));
    }

    [Fact]
    public void Samples_are_those_of_the_seed()
    {
        Assert.Equal(TokenWindows.Sample(Ids, 7, 50, seed: 3), TokenWindows.Sample(Ids, 7, 50, seed: 3));
        Assert.Equal(TokenWindows.Sample(Ids, 7, 50, seed: 3)[..20], TokenWindows.Sample(Ids, 7, 20, seed: 3));
        Assert.NotEqual(TokenWindows.Sample(Ids, 7, 50, seed: 3), TokenWindows.Sample(Ids, 7, 50, seed: 4));

        // Written down, so that a change of the draw is seen: it would change every calibration.
        Assert.Equal([700, 200, 400, 500, 100], TokenWindows.Sample(Ids, 100, 5, seed: 42).Select(window => window[0]));
    }

    [Fact]
    public void Every_window_is_drawn_about_as_often()
    {
        var counts = new int[10];
        for (int seed = 0; seed < 5000; seed++)
        {
            counts[TokenWindows.Sample(Ids, 100, 1, seed)[0][0] / 100]++;
        }

        Assert.All(counts, count => Assert.InRange(count, 400, 600));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(0, 1)]
    [InlineData(10, 0)]
    [InlineData(1001, 1)]
    public void Windows_that_make_no_sense_are_refused(int length, int count)
    {
        Assert.Equal("ZQFP0113", Assert.Throws<ZqfpException>(() => TokenWindows.Cut(Ids, length, count)).Code);
        Assert.Equal("ZQFP0113", Assert.Throws<ZqfpException>(() => TokenWindows.Sample(Ids, length, count, 0)).Code);
    }
}
