namespace Zqfp.Evaluation;

/// <summary>
/// The score interval of the difference of two paired shares (Tango, Statistics in Medicine 17, 1998): the differences that the score test
/// does not reject. At a difference of 0 that test is McNemar's. Unlike the plain interval it does not shrink to nothing where no pair
/// disagrees, which a hundred questions often show.
/// </summary>
internal static class PairedShares
{
    private const double Z = 1.959963984540054;

    /// <summary>The 95 % interval of (<paramref name="lost"/> - <paramref name="won"/>) / <paramref name="pairs"/>.</summary>
    /// <param name="pairs">Number of pairs, 1 or more.</param>
    /// <param name="lost">Pairs of which the first alone succeeded.</param>
    /// <param name="won">Pairs of which the second alone did.</param>
    public static Interval Interval(int pairs, int lost, int won)
    {
        double middle = (double)(lost - won) / pairs;
        return new Interval(Root(-1, middle, Z), Root(middle, 1, -Z));

        // The score falls as the difference rises.
        double Root(double low, double high, double score)
        {
            for (int i = 0; i < 60; i++)
            {
                double half = (low + high) / 2;
                (low, high) = Score(pairs, lost, won, half) > score ? (half, high) : (low, half);
            }

            return (low + high) / 2;
        }
    }

    private static double Score(int pairs, int lost, int won, double difference)
    {
        // The likeliest share of pairs won, given the difference.
        double a = 2.0 * pairs;
        double b = ((2.0 * pairs - lost + won) * difference) - lost - won;
        double c = -won * difference * (1 - difference);
        double share = (Math.Sqrt(Math.Max(0, (b * b) - (4 * a * c))) - b) / (2 * a);
        double variance = pairs * ((2 * share) + (difference * (1 - difference)));
        double distance = lost - won - (pairs * difference);
        return variance > 0 ? distance / Math.Sqrt(variance) : Math.Sign(distance) * double.PositiveInfinity;
    }
}
