namespace Zqfp.Reliability.Tests;

/// <summary>Alters bytes without knowing what they are.</summary>
internal static class ByteMutator
{
    public static byte[] Mutate(byte[] bytes, Random random)
    {
        byte[] result = [.. bytes];
        for (int i = 1 + random.Next(3); i > 0; i--)
        {
            int place = random.Next(result.Length + 1);
            switch (random.Next(6))
            {
                case 0 when place < result.Length:
                    result[place] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    result = result[..place];
                    break;
                case 2:
                    result = [.. result[..place], (byte)random.Next(256), .. result[place..]];
                    break;
                case 3 when place < result.Length:
                    result[place] = (byte)(random.Next(2) * 255);
                    break;
                case 4:
                    int end = Math.Min(result.Length, place + random.Next(64));
                    result = [.. result[..place], .. result[end..]];
                    break;
                default:
                    int from = Math.Min(result.Length, place + random.Next(64));
                    result = [.. result[..from], .. result[place..]];
                    break;
            }
        }

        return result;
    }
}
